package config

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Count is a whole number as Kubernetes writes quantities: "500M".
type Count string

// Units returns the number.
func (c Count) Units() (int64, error) {
	quantity, err := resource.ParseQuantity(string(c))
	if err != nil {
		return 0, fmt.Errorf("want a number like \"500M\"")
	}
	units, exact := quantity.AsInt64()
	if !exact || units <= 0 {
		return 0, fmt.Errorf("want a whole number above zero")
	}
	return units, nil
}

// Size is a number of bytes as Kubernetes writes quantities: "64Mi".
type Size string

// Bytes returns the number of bytes.
func (s Size) Bytes() (int64, error) {
	quantity, err := resource.ParseQuantity(string(s))
	if err != nil {
		return 0, fmt.Errorf("want a size like \"64Mi\"")
	}
	bytes, exact := quantity.AsInt64()
	if !exact || bytes <= 0 {
		return 0, fmt.Errorf("want a whole number of bytes above zero")
	}
	return bytes, nil
}

// Duration is a time span as Go writes it: "30s", "1h30m".
type Duration string

// Duration returns the time span.
func (d Duration) Duration() (time.Duration, error) {
	span, err := time.ParseDuration(string(d))
	if err != nil || span <= 0 {
		return 0, fmt.Errorf("want a duration above zero like \"30s\"")
	}
	return span, nil
}

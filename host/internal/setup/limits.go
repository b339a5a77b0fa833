package setup

import (
	"errors"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
)

// Limits translates a config's limits, which were validated.
func Limits(limits config.Limits) (guest.Limits, error) {
	var errs []error
	number := func(n int64, err error) int64 {
		errs = append(errs, err)
		return n
	}
	timeout, err := limits.Timeout.Duration()
	translated := guest.Limits{
		Memory:   uint64(number(limits.Memory.Bytes())),
		Table:    uint32(number(limits.Tables.Units())),
		Fuel:     uint64(number(limits.Fuel.Units())),
		Timeout:  timeout,
		Request:  uint64(number(limits.Request.Bytes())),
		Response: uint64(number(limits.Response.Bytes())),
		LogLines: int(number(limits.LogLines.Units())),
		LogBytes: int(number(limits.LogBytes.Bytes())),
	}
	return translated, errors.Join(append(errs, err)...)
}

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// parsePorts parses a list such as "80:8080,443": the port of the Service, and that of the Pod where it is another one.
func parsePorts(text string) ([]Port, error) {
	var ports []Port
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		from, to, found := strings.Cut(item, ":")
		if !found {
			to = from
		}
		port, err := parsePort(from)
		if err != nil {
			return nil, err
		}
		target, err := parsePort(to)
		if err != nil {
			return nil, err
		}
		for _, other := range ports {
			if other.Port == port {
				return nil, fmt.Errorf("port %d is there twice", port)
			}
		}
		ports = append(ports, Port{Name: "port-" + strconv.Itoa(int(port)), Port: port, TargetPort: target, Protocol: "TCP"})
	}
	return ports, nil
}

func parsePort(text string) (int32, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port: want a list such as 80:8080,443", text)
	}
	return int32(port), nil
}

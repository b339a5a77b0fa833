package main

import (
	"fmt"
	"os"

	"github.com/coredns/caddy"
	_ "github.com/coredns/coredns/core/dnsserver" // what a Corefile configures
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

// serveNames is CoreDNS with the plugins errors and kubernetes. Its argument is a Corefile. CoreDNS's own main function would add
// its flags to those of all components.
func serveNames() int {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: coredns COREFILE")
		return 2
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "coredns: cannot read the Corefile:", err)
		return 1
	}
	caddy.TrapSignals()
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: text, Filepath: os.Args[1], ServerTypeName: "dns"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "coredns: cannot start:", err)
		return 1
	}
	instance.Wait()
	return 0
}

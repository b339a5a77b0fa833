// Command cluster measures the host on a real control plane, beside a native controller that does the same work, and
// prints each figure as a ratio to the native one, with the target that it should reach.
//
// Both run as processes of their own, in turn, each against an empty control plane without kube-controller-manager.
// What an object costs is read from the process's own accounting and from the API server's audit log.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

func main() {
	objects := flag.Int("objects", 500, "objects to create")
	rounds := flag.Int("rounds", 2, "rounds, of which medians are taken")
	hostile := flag.Bool("hostile", true, "measure the host beside hostile neighbours too")
	bin := flag.String("bin", "bin/bench", "`folder` with wasmloop, native, the modules and the configs")
	flag.Parse()
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *bin, *objects, *rounds, *hostile)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "✗", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, objects, rounds int, hostile bool) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	host := func(name, config string) contest.Contender {
		return contest.Host(name, bin, filepath.Join(bin, config), filepath.Join(bin, "compiled"))
	}
	native := contest.Contender{Name: "native", Agent: "native", Path: filepath.Join(bin, "native")}
	ours := host("wasmloop", "config.yaml")
	beset := host("wasmloop with hostile neighbours", "hostile.yaml")
	contenders := []contest.Contender{native, ours, beset}
	if !hostile {
		contenders = contenders[:2]
	}
	results := map[string][]figures{}
	for round := range rounds {
		for _, c := range contenders {
			fmt.Fprintf(os.Stderr, "► round %d of %d: %s\n", round+1, rounds, c.Name)
			measured, err := measure(ctx, c, objects)
			if err != nil {
				return fmt.Errorf("cannot measure %s: %w", c.Name, err)
			}
			results[c.Name] = append(results[c.Name], measured)
		}
	}
	printTable(os.Stdout, median(results[native.Name]), median(results[ours.Name]), objects, rounds)
	if hostile {
		printNeighbours(os.Stdout, median(results[ours.Name]), median(results[beset.Name]))
	}
	return nil
}

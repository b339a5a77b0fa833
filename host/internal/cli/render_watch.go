package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watchEvery is how often files are looked at.
const watchEvery = 300 * time.Millisecond

// runAgain renders now and whenever one of the files changes. What is wrong is said, and may be right the next time.
func (f *renderFlags) runAgain(command *cobra.Command, args []string) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	seen := ""
	for {
		if now := f.stateOf(args); now != seen {
			before := f.loaded
			if err := f.run(command, args); err != nil {
				fmt.Fprintf(stderr, "✗ %v\n", err)
			}
			if seen = now; f.loaded != before { // it is watched, too
				seen = f.stateOf(args)
			}
			fmt.Fprintln(stderr, "► waiting for a change; Ctrl-C ends")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// stateOf returns a text that changes when one of the files does.
func (f *renderFlags) stateOf(args []string) string {
	paths := append([]string{f.target.module, f.target.config, strings.TrimPrefix(f.loaded, "file://")}, args...)
	var b strings.Builder
	for _, path := range paths {
		files, _ := filesOf(path) // one that is not there may come
		for _, file := range files {
			if info, err := os.Stat(file); err == nil {
				fmt.Fprintf(&b, "%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	return b.String()
}

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The values of -o.
const (
	outputText = "text"
	outputJSON = "json"
)

// outputFlag adds -o to a command.
func outputFlag(command *cobra.Command, output *string) {
	command.Flags().StringVarP(output, "output", "o", outputText, "how the result is written: text or json")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputText, outputJSON}, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that does not exist
}

func checkOutput(output string) error {
	if output != outputText && output != outputJSON {
		return fmt.Errorf("unknown --output %q: want text or json", output)
	}
	return nil
}

// oneArgument wants just one argument, and says what it is otherwise.
func oneArgument(what string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one argument, %s, and got %d: %s", what, len(args), command.UseLine())
		}
		return nil
	}
}

// completeFiles completes a command's one argument with files of these endings.
func completeFiles(endings ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}

// completeFolders completes a command's one argument with folders.
func completeFolders(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeFlags completes the flags of all commands that name a config.
func completeFlags(command *cobra.Command) {
	for _, child := range command.Commands() {
		if child.Flags().Lookup("config") != nil {
			_ = child.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that does not exist
		}
	}
}

// fields are names with values, which are printed in two columns.
type fields struct {
	out   io.Writer
	names []string
	lines [][]string
}

// add adds a field whose value may have several lines.
func (f *fields) add(name string, lines ...string) {
	if len(lines) == 0 {
		lines = []string{"-"}
	}
	f.names, f.lines = append(f.names, name), append(f.lines, lines)
}

func (f *fields) print() error {
	width := 0
	for _, name := range f.names {
		width = max(width, len(name))
	}
	for i, name := range f.names {
		padding := strings.Repeat(" ", width-len(name)+2)
		value := strings.Join(f.lines[i], "\n"+strings.Repeat(" ", width+2))
		if _, err := fmt.Fprintf(f.out, "%s%s%s\n", heading(f.out, name), padding, value); err != nil {
			return err
		}
	}
	return nil
}

// heading returns text in bold if it is written to a terminal.
func heading(w io.Writer, text string) string {
	if !isTerminal(w) {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// isTerminal says whether what is written to w is seen on a terminal that shows colours, and these are wanted.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

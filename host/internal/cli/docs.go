package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

//go:generate go run ../../cmd/wasmloop docs ../../COMMANDS.md

// newDocsCommand makes the command that writes the reference. It is ours: cobra's own would bring a renderer of manual pages
// into every wasmloop, and write a file for each command.
func newDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs [FILE]",
		Short:  "Write the reference of all commands as markdown",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			reference := reference(command.Root())
			if len(args) > 0 {
				return writeFile(args[0], reference)
			}
			_, err := command.OutOrStdout().Write(reference)
			return err
		},
	}
}

// reference describes all commands.
func reference(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The command %s\n\n%s. This page is what `%s docs` writes.\n\n", root.Name(), root.Short, root.Name())
	b.WriteString("Results go to stdout and all else to stderr. The exit code is 0 if all went well and 1 otherwise, unless a command says more.\n\n")
	b.WriteString("| command | |\n|---|---|\n")
	commands := shown(root)
	for _, command := range commands {
		anchor := strings.ReplaceAll(command.CommandPath(), " ", "-")
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", command.CommandPath(), anchor, command.Short)
	}
	for _, command := range commands {
		describe(&b, command)
	}
	text := b.String()
	if cache, err := os.UserCacheDir(); err == nil { // in the defaults of flags
		text = strings.ReplaceAll(text, cache, "~/.cache")
	}
	return []byte(text)
}

// shown returns a command's own commands that people are to know of.
func shown(command *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, child := range command.Commands() {
		if child.IsAvailableCommand() {
			list = append(list, child)
		}
	}
	return list
}

func describe(b *bytes.Buffer, command *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n%s.\n", command.CommandPath(), command.Short)
	for paragraph := range strings.SplitSeq(strings.TrimSpace(command.Long), "\n\n") {
		if strings.Contains(paragraph, "\n  ") { // has columns
			paragraph = "```\n" + paragraph + "\n```"
		}
		if paragraph != "" {
			fmt.Fprintf(b, "\n%s\n", paragraph)
		}
	}
	fmt.Fprintf(b, "\n```sh\n%s\n", command.UseLine())
	for _, child := range shown(command) { // those of completion, a shell each
		fmt.Fprintln(b, child.UseLine())
	}
	fmt.Fprint(b, "```\n")
	if command.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```sh\n%s\n```\n", unindent(command.Example))
	}
	command.InitDefaultHelpFlag()
	if flags := command.LocalFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(b, "\nFlags:\n\n```\n%s```\n", flags.FlagUsages())
	}
}

// unindent takes the indentation of examples in a terminal off.
func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}

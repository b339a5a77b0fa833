package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newExplainCommand() *cobra.Command {
	var recursive bool
	command := &cobra.Command{
		Use:   "explain [FIELD]",
		Short: "Tell of the fields of the config file",
		Long: `Tell of a field of the config file: its type, its default, what it is for, and the fields within it. Without one, tell of the
file. A field is named by its path from the top; lists and names of your own are passed over or written as [] and NAME.`,
		Example: `  wasmloop explain controllers
  wasmloop explain controllers.for.labelSelector
  wasmloop explain modules --recursive`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return completeFields(args, toComplete)
		},
		RunE: func(command *cobra.Command, args []string) error {
			root, err := loadSchema()
			if err != nil {
				return err
			}
			field := &configField{schema: root}
			if len(args) > 0 {
				if field, err = root.find(args[0]); err != nil {
					return err
				}
			}
			if recursive {
				return printFieldTree(command.OutOrStdout(), field)
			}
			return printField(command.OutOrStdout(), field)
		},
	}
	command.Flags().BoolVarP(&recursive, "recursive", "r", false, "list all fields below it, with their types")
	return command
}

// textWidth is how wide descriptions are printed.
const textWidth = 96

func printField(w io.Writer, field *configField) error {
	table := &fields{out: w}
	if field.path != "" {
		table.add("FIELD", field.path)
		table.add("TYPE", field.typeName())
		if field.required {
			table.add("REQUIRED", "yes")
		}
		if value := field.defaultValue(); value != "" {
			table.add("DEFAULT", value)
		}
		if values := field.values(); len(values) > 0 {
			table.add("VALUES", strings.Join(values, ", "))
		}
	}
	if err := table.print(); err != nil {
		return err
	}
	if field.path != "" {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, strings.Join(wrap(field.description(), textWidth), "\n"))
	children := field.children()
	if len(children) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", heading(w, "FIELDS"))
	return printChildren(w, children)
}

func printChildren(w io.Writer, children []*configField) error {
	width, types := 0, 0
	for _, child := range children {
		width, types = max(width, len(child.name)), max(types, len(child.typeName()))
	}
	indent := 2 + width + 2 + types + 2
	for _, child := range children {
		text := child.description()
		if child.required {
			text = "(required) " + text
		}
		lines := strings.Join(wrap(text, textWidth-indent/2), "\n"+strings.Repeat(" ", indent))
		if _, err := fmt.Fprintf(w, "  %-*s  %-*s  %s\n", width, child.name, types, child.typeName(), lines); err != nil {
			return err
		}
	}
	return nil
}

// printFieldTree lists a field and all below it.
func printFieldTree(w io.Writer, field *configField) error {
	type line struct{ name, about string }
	var lines []line
	var visit func(field *configField, depth int)
	visit = func(field *configField, depth int) {
		for _, child := range field.children() {
			about := child.typeName()
			if value := child.defaultValue(); value != "" {
				about += ", default " + value
			}
			if child.required {
				about += ", required"
			}
			lines = append(lines, line{strings.Repeat("  ", depth) + child.name, about})
			visit(child, depth+1)
		}
	}
	visit(field, 0)
	if len(lines) == 0 {
		return printField(w, field)
	}
	width := 0
	for _, line := range lines {
		width = max(width, len(line.name))
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, line.name, line.about); err != nil {
			return err
		}
	}
	return nil
}

// wrap breaks text into lines of at most width bytes, where its words are no longer.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// completeFields completes the path of a field.
func completeFields(args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	const noMore = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	root, err := loadSchema()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	parent, prefix := &configField{schema: root}, ""
	if dot := strings.LastIndex(toComplete, "."); dot >= 0 {
		if parent, err = root.find(toComplete[:dot]); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		prefix = toComplete[:dot+1]
	}
	var found []string
	for _, child := range parent.children() {
		if strings.HasPrefix(prefix+child.name, toComplete) {
			found = append(found, cobra.CompletionWithDesc(prefix+child.name, child.typeName()))
		}
	}
	return found, noMore
}

// nearest returns those of candidates that are most like text, at most three.
func nearest(text string, candidates []string) []string {
	last := func(path string) string { return path[strings.LastIndex(path, ".")+1:] }
	distance := func(candidate string) int {
		return min(
			edits(strings.ToLower(text), strings.ToLower(candidate)),
			edits(strings.ToLower(last(text)), strings.ToLower(last(candidate)))+1, // as good, but elsewhere
		)
	}
	likely := slices.DeleteFunc(slices.Clone(candidates), func(candidate string) bool {
		return distance(candidate) > 1+len(last(text))/3
	})
	slices.SortStableFunc(likely, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	return likely[:min(len(likely), 3)]
}

// edits returns how many letters have to be put in, taken out or replaced to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

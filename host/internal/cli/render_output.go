package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// renderPrinter prints what came of objects.
type renderPrinter struct {
	w        io.Writer
	cluster  *render.Cluster
	outcomes []*render.Outcome
	// all is true if there may be several objects.
	all bool
}

func (p *renderPrinter) print(output string) error {
	switch output {
	case outputJSON:
		return p.printJSON()
	case outputDiff:
		return p.printDiff()
	case outputTree:
		return p.printTrees()
	default:
		return p.printYAML()
	}
}

// results returns what came of each object.
func (p *renderPrinter) results() []*render.Result {
	if p.all {
		return p.cluster.Results()
	}
	return []*render.Result{p.cluster.Result(p.outcomes[0])}
}

func (p *renderPrinter) printYAML() error {
	var documents []map[string]any
	for _, result := range p.results() {
		documents = append(documents, result.Documents()...)
	}
	encoded, err := render.Encode(documents)
	if err != nil {
		return err
	}
	_, err = p.w.Write(encoded)
	return err
}

// renderedLine is a line that the module has logged.
type renderedLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// rendered is what -o json prints of an object.
type rendered struct {
	*render.Result
	Logs       []renderedLine `json:"logs,omitempty"`
	Reconciles int            `json:"reconciles"`
	Calls      int            `json:"calls"`
	Fuel       uint64         `json:"fuel"`
}

func (p *renderPrinter) printJSON() error {
	all := make([]rendered, len(p.outcomes))
	for i, result := range p.results() {
		outcome := p.outcomes[i]
		all[i] = rendered{Result: result, Reconciles: outcome.Reconciles, Calls: outcome.Calls, Fuel: outcome.Fuel}
		for _, each := range outcome.Logs {
			all[i].Logs = append(all[i].Logs, renderedLine{each.Level.String(), each.Text})
		}
	}
	encoder := json.NewEncoder(p.w)
	encoder.SetIndent("", "  ")
	if p.all {
		return encoder.Encode(all)
	}
	return encoder.Encode(all[0])
}

// printDiff prints how what is there in the end differs from what was observed.
func (p *renderPrinter) printDiff() error {
	for _, touched := range p.cluster.Touched() {
		before, after := textOf(touched.Before), textOf(touched.After)
		name := strings.ReplaceAll(touched.ID.String(), " ", "/")
		text := diff.Diff("observed/"+name, before, "rendered/"+name, after)
		// The first line names the files again.
		if _, text, ok := strings.Cut(string(text), "\n"); ok {
			if _, err := io.WriteString(p.w, coloured(p.w, text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// coloured returns a diff in colours if it is written to a terminal.
func coloured(w io.Writer, text string) string {
	if !isTerminal(w) {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		colour := map[byte]string{'+': "32", '-': "31", '@': "36"}[line[0]]
		if colour == "" {
			b.WriteString(line)
			continue
		}
		b.WriteString("\x1b[" + colour + "m" + strings.TrimSuffix(line, "\n") + "\x1b[0m\n")
	}
	return b.String()
}

func textOf(object render.Object) []byte {
	if object == nil {
		return nil
	}
	text, err := yaml.Marshal(object.Object)
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	return text
}

// printTrees prints each object with its children below it, and what became of each.
func (p *renderPrinter) printTrees() error {
	actions := map[string]string{}
	for _, touched := range p.cluster.Touched() {
		actions[touched.ID.String()] = touched.Action()
	}
	for i, result := range p.results() {
		owner := p.outcomes[i].ID
		lines := [][2]string{}
		for _, child := range p.cluster.Children(owner) {
			lines = append(lines, [2]string{child.String(), cmp.Or(actions[child.String()], "unchanged")})
		}
		for _, gone := range result.Deleted {
			lines = append(lines, [2]string{gone.String(), "deleted"})
		}
		if err := printTree(p.w, owner.String(), lines); err != nil {
			return err
		}
	}
	return nil
}

func printTree(w io.Writer, root string, lines [][2]string) error {
	width := 0
	for _, line := range lines {
		width = max(width, len(line[0]))
	}
	if _, err := fmt.Fprintln(w, heading(w, root)); err != nil {
		return err
	}
	for i, line := range lines {
		branch := "├──"
		if i == len(lines)-1 {
			branch = "└──"
		}
		if _, err := fmt.Fprintf(w, "%s %-*s  %s\n", branch, width, line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

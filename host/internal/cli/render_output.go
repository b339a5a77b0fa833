package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// printRendered prints what came of an object.
func printRendered(w io.Writer, output string, cluster *render.Cluster, outcome *render.Outcome) error {
	switch output {
	case outputJSON:
		return printRenderedJSON(w, cluster, outcome)
	case outputDiff:
		return printDiff(w, cluster)
	case outputTree:
		return printChildTree(w, cluster, outcome)
	default:
		encoded, err := render.Encode(cluster.Result(outcome).Documents())
		if err != nil {
			return err
		}
		_, err = w.Write(encoded)
		return err
	}
}

func printRenderedJSON(w io.Writer, cluster *render.Cluster, outcome *render.Outcome) error {
	type line struct {
		Level string `json:"level"`
		Text  string `json:"text"`
	}
	result := struct {
		*render.Result
		Logs       []line `json:"logs,omitempty"`
		Reconciles int    `json:"reconciles"`
		Calls      int    `json:"calls"`
		Fuel       uint64 `json:"fuel"`
	}{Result: cluster.Result(outcome), Reconciles: outcome.Reconciles, Calls: outcome.Calls, Fuel: outcome.Fuel}
	for _, each := range outcome.Logs {
		result.Logs = append(result.Logs, line{each.Level.String(), each.Text})
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// printDiff prints how what is there in the end differs from what was observed.
func printDiff(w io.Writer, cluster *render.Cluster) error {
	for _, touched := range cluster.Touched() {
		before, after := textOf(touched.Before), textOf(touched.After)
		name := strings.ReplaceAll(touched.ID.String(), " ", "/")
		text := diff.Diff("observed/"+name, before, "rendered/"+name, after)
		// The first line names the files again.
		if _, text, ok := strings.Cut(string(text), "\n"); ok {
			if _, err := io.WriteString(w, coloured(w, text)); err != nil {
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

// printChildTree prints an object with its children below it, and what became of each.
func printChildTree(w io.Writer, cluster *render.Cluster, outcome *render.Outcome) error {
	lines := [][2]string{}
	actions := map[string]string{}
	for _, touched := range cluster.Touched() {
		actions[touched.ID.String()] = touched.Action()
	}
	for _, child := range cluster.Children(outcome.ID) {
		action := actions[child.String()]
		if action == "" {
			action = "unchanged"
		}
		lines = append(lines, [2]string{child.String(), action})
	}
	for _, gone := range cluster.Result(outcome).Deleted {
		lines = append(lines, [2]string{gone.String(), "deleted"})
	}
	width := 0
	for _, line := range lines {
		width = max(width, len(line[0]))
	}
	if _, err := fmt.Fprintln(w, heading(w, outcome.ID.String())); err != nil {
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

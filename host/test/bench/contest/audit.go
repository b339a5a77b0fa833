package contest

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"time"
)

// auditPolicy logs each request once, when it is done.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules: [{level: Metadata}]
`

// AuditLog counts a contender's requests.
type AuditLog struct {
	path  string
	agent string
	since time.Time
}

// Mark has only requests counted that come from now on.
func (a *AuditLog) Mark() { a.since = time.Now() }

// Requests are numbers of requests by verb, other than lists and watches. Those of events are left out, and so are reviews of
// rights, which are created and change nothing.
type Requests map[string]float64

// Writes returns how many of the requests are writes.
func (r Requests) Writes() float64 { return r["create"] + r["update"] + r["patch"] + r["delete"] }

// All returns how many there are.
func (r Requests) All() (sum float64) {
	for _, n := range r {
		sum += n
	}
	return sum
}

// Count returns the requests so far.
func (a *AuditLog) Count() (Requests, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	byVerb := Requests{}
	defer func() { _ = file.Close() }() // it was only read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb                     string
			UserAgent                string
			RequestReceivedTimestamp time.Time
			ObjectRef                *struct{ Resource string }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(event.UserAgent, a.agent) || event.RequestReceivedTimestamp.Before(a.since) ||
			event.ObjectRef == nil || event.ObjectRef.Resource == "events" || strings.HasSuffix(event.ObjectRef.Resource, "accessreviews") {
			continue
		}
		if event.Verb != "list" && event.Verb != "watch" {
			byVerb[event.Verb]++
		}
	}
	return byVerb, lines.Err()
}

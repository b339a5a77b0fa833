package main

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

// auditLog counts a contender's requests.
type auditLog struct {
	path  string
	agent string
	since time.Time
}

// mark has only requests counted that come from now on.
func (a *auditLog) mark() { a.since = time.Now() }

// count returns the numbers of requests by verb, other than lists and watches. Events are left out.
func (a *auditLog) count() (byVerb map[string]float64, err error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	byVerb = map[string]float64{}
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
			event.ObjectRef == nil || event.ObjectRef.Resource == "events" {
			continue
		}
		if event.Verb != "list" && event.Verb != "watch" {
			byVerb[event.Verb]++
		}
	}
	return byVerb, lines.Err()
}

// writes returns how many of the requests are writes.
func writes(byVerb map[string]float64) float64 {
	return byVerb["create"] + byVerb["update"] + byVerb["patch"] + byVerb["delete"]
}

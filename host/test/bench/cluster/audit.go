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

// count returns the numbers of writes, and of reads other than lists and watches. Leases and events are left out.
func (a *auditLog) count() (writes, reads float64, err error) {
	file, err := os.Open(a.path)
	if err != nil {
		return 0, 0, err
	}
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
			return 0, 0, err
		}
		if !strings.HasPrefix(event.UserAgent, a.agent) || event.RequestReceivedTimestamp.Before(a.since) ||
			event.ObjectRef == nil || event.ObjectRef.Resource == "events" {
			continue
		}
		switch event.Verb {
		case "create", "update", "patch", "delete":
			writes++
		case "get":
			reads++
		}
	}
	return writes, reads, lines.Err()
}

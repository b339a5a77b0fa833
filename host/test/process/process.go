// Package process runs programs beside the tests, and keeps what they say.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// stopTimeout is how long a program may take to end once it is interrupted.
const stopTimeout = 20 * time.Second

// Process is a program that was started.
type Process struct {
	command *exec.Cmd
	output  Output
	ended   chan struct{}
	err     error // of the program, once ended is closed
}

// Start starts a program. What it prints goes to the Log.
func Start(command *exec.Cmd) (*Process, error) {
	p := &Process{command: command, ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.output, &p.output
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Stop interrupts the program as Ctrl-C does, and returns an error unless it ends well. It may have ended before.
func (p *Process) Stop() error {
	if err := p.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("it does not end within %s of Ctrl-C", stopTimeout), p.Kill())
	}
}

// Kill kills the program, and returns when it has ended.
func (p *Process) Kill() error {
	err := p.command.Process.Kill()
	<-p.ended
	return err
}

// Log returns all that the program has printed so far.
func (p *Process) Log() string { return p.output.String() }

// Said returns an error unless a line of the log has all the parts.
func (p *Process) Said(parts ...string) error {
	for line := range strings.Lines(p.Log()) {
		if HasAll(line, parts) {
			return nil
		}
	}
	return fmt.Errorf("no log line has all of %q", parts)
}

// HasAll says whether a text has all the parts.
func HasAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// Output is a bytes.Buffer for concurrent use. Programs write to it while a test reads.
type Output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

// String returns what was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

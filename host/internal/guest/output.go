package guest

import (
	"bytes"
	"strings"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Log takes a module's log line.
type Log = func(level abi.Level, line string)

// lineBudget passes log lines on until the call has used up its share.
type lineBudget struct {
	log          Log
	lines, bytes int
	dropped      int
}

func (b *lineBudget) add(level abi.Level, line []byte) {
	if b.lines < 1 || b.bytes < len(line) {
		b.lines, b.bytes = 0, 0 // once full, stay full: no gaps between what is logged
		b.dropped++
		return
	}
	b.lines--
	b.bytes -= len(line)
	b.log(level, strings.ToValidUTF8(string(line), "\uFFFD"))
}

// close says what was dropped.
func (b *lineBudget) close() {
	if b.dropped > 0 {
		b.log(abi.LevelWarn, "more log lines of this call were dropped: it went over its limit")
		b.dropped = 0
	}
}

// lineWriter turns a guest's stdout or stderr into log lines, and remembers how it began.
type lineWriter struct {
	level   abi.Level
	lines   *lineBudget
	partial []byte
	first   []string
}

// How much of a guest's output an error quotes.
const (
	quotedLines = 12
	lineBytes   = 4 << 10
)

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if rest[0] == '\n' && len(w.partial) == 0 { // whatever is written much of should take little time
			rest = rest[1:]
			continue
		}
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		room := lineBytes - len(w.partial)
		w.partial = append(w.partial, line[:min(len(line), room)]...)
		if ended {
			w.flush()
		}
		rest = after
	}
	return len(p), nil
}

func (w *lineWriter) flush() {
	line := bytes.TrimRight(w.partial, "\r")
	w.partial = w.partial[:0]
	if len(line) == 0 {
		return
	}
	if len(w.first) < quotedLines { // what matters of a panic stands at its beginning
		w.first = append(w.first, string(line))
	}
	w.lines.add(w.level, line)
}

// quote returns what an error should quote of the output.
func (w *lineWriter) quote() string {
	w.flush()
	return strings.Join(w.first, "\n")
}

// cappedBuffer keeps what is written up to a limit, and counts the rest.
type cappedBuffer struct {
	bytes.Buffer
	limit, dropped uint64
}

// Write implements io.Writer.
func (b *cappedBuffer) Write(p []byte) (int, error) {
	room := b.limit - uint64(b.Len())
	kept := p[:min(uint64(len(p)), room)]
	b.dropped += uint64(len(p) - len(kept))
	b.Buffer.Write(kept)
	return len(p), nil
}

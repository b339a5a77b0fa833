package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

const (
	// slice is how much fuel a guest gets at a time: after each, the host looks at the clock. It lasts for 0.1 to 0.5 ms as
	// a rule, and for a few at the worst.
	slice = 100_000
	// profileSlice is the same for a guest that is profiled.
	profileSlice = 1000
	// patience is how long a call runs before it lets others go first, each time. Doing so costs some 20 µs.
	patience = 2 * time.Millisecond
	// hostCall is what calling a host function costs, beside one unit for each 16 bytes that it handles.
	hostCall = 64
	// writeChunk is how many bytes a host function handles at most before it looks at the clock again.
	writeChunk = 64 << 10
	// stackCeiling is how large a stack wazero does not let grow any more, in bytes. Since stacks grow by doubling, some can
	// have up to twice as much.
	stackCeiling = 50_000_000
)

// call is the host's side of one call: what the guest reads, what it has written so far, and what it has used.
type call struct {
	ctx      context.Context
	limits   Limits
	started  time.Time
	deadline time.Time
	yielded  time.Time // when others were last let go first

	// granted is the fuel that the guest was given so far, its counter what is left of that. hostFuel is what host
	// functions cost.
	granted, hostFuel uint64
	slice             uint64
	hostChecked       uint64

	request   []byte
	stdin     []byte // what a command has not read of its request
	response  []byte
	responded bool
	tooLarge  uint64 // the size of a response over the limit
	failure   *ModuleError

	clock  clock
	epoch  time.Time // when its wall clock starts
	seed   uint64    // what random comes from
	random *rand.ChaCha8
	lines  lineBudget
	stdout lineWriter
	stderr lineWriter
	// commandOut takes a command's stdout; nil for reactors.
	commandOut *cappedBuffer
}

func (p *program) newCall(ctx context.Context, limits Limits, request []byte, log Log) *call {
	c := &call{ctx: ctx, limits: limits, request: request, started: time.Now(), epoch: p.runtime.options.Epoch, seed: p.runtime.options.Seed, slice: slice}
	if p.runtime.options.Profile != nil {
		c.slice = profileSlice
	}
	c.deadline, c.yielded = c.started.Add(limits.Timeout), c.started
	c.lines = lineBudget{log: log, lines: limits.LogLines, bytes: limits.LogBytes}
	c.stdout = lineWriter{level: abi.LevelInfo, lines: &c.lines}
	c.stderr = lineWriter{level: abi.LevelWarn, lines: &c.lines}
	if p.tier == Command {
		c.stdin, c.commandOut = request, &cappedBuffer{limit: limits.Response}
	}
	return c
}

// refuel is the tick: it takes the guest's fuel counter, which is below zero, ends the call if that is out of fuel or
// time, and returns what the counter goes on with.
func (c *call) refuel(counter int64) int64 {
	used := c.granted - uint64(counter) // counter is negative: more was used than granted
	c.check(used)
	next := min(c.slice, c.limits.Fuel-min(c.limits.Fuel, used+c.hostFuel))
	c.granted = used + next
	return int64(next)
}

// charge is called by host functions before they handle so many bytes.
func (c *call) charge(bytes int) {
	c.hostFuel += hostCall + uint64(bytes)/16
	c.lookNowAndThen()
}

// lookNowAndThen ends the call if it is out of fuel or time, once host functions have cost enough to look.
func (c *call) lookNowAndThen() {
	if c.hostFuel-c.hostChecked > slice {
		c.hostChecked = c.hostFuel
		c.check(c.granted) // how much of the last grant is left is the guest's to know
	}
}

// inChunks charges for a buffer and handles it, a part at a time.
func (c *call) inChunks(buffer []byte, handle func(chunk []byte)) {
	c.charge(0)
	for chunk := range slices.Chunk(buffer, writeChunk) {
		c.hostFuel += uint64(len(chunk)) / 16
		c.lookNowAndThen()
		handle(chunk)
	}
}

// check ends the call if it is out of fuel or time, or is not wanted any more.
func (c *call) check(used uint64) {
	if used += c.hostFuel; used > c.limits.Fuel {
		panic(&LimitError{"fuel", fmt.Sprint(c.limits.Fuel), fmt.Sprintf("at least %d", used)})
	}
	now := time.Now()
	if now.After(c.deadline) {
		panic(&LimitError{"timeout", c.limits.Timeout.String(), now.Sub(c.started).Round(time.Millisecond).String()})
	}
	if c.ctx.Err() != nil {
		panic(fmt.Errorf("the call was cancelled: %w", context.Cause(c.ctx)))
	}
	if now.Sub(c.yielded) > patience {
		runtime.Gosched() // a guest cannot be preempted: let those go first who need little
		c.yielded = time.Now()
	}
}

// fuel returns how much was used, given what the guest's counter is left with.
func (c *call) fuel(counter int64) uint64 { return c.granted - uint64(counter) + c.hostFuel }

// outcome returns what a reactor that returned status has answered.
func (c *call) outcome(status int32) ([]byte, error) {
	switch {
	case c.tooLarge > 0:
		return nil, &LimitError{"response", bytesText(c.limits.Response), bytesText(c.tooLarge)}
	case c.failure != nil:
		return nil, c.failure
	case status != 0:
		return nil, &ModuleError{Message: fmt.Sprintf("%s returned %d and gave no reason", abi.ExportReconcile, status)}
	case !c.responded:
		return nil, &ModuleError{Message: abi.ExportReconcile + " returned without a response"}
	}
	return c.response, nil
}

// commandOutcome returns what a command has answered.
func (c *call) commandOutcome() ([]byte, error) {
	if dropped := c.commandOut.dropped; dropped > 0 {
		return nil, &LimitError{"response", bytesText(c.limits.Response), bytesText(uint64(c.commandOut.Len()) + dropped)}
	}
	return c.commandOut.Bytes(), nil
}

// explain turns what wazero returns into one of the errors that Call promises. refused is the amount of memory that the
// guest wanted and did not get.
func (c *call) explain(err error, refused uint64) error {
	var exit *sys.ExitError
	var limit *LimitError
	switch {
	case err == nil, errors.As(err, &exit) && exit.ExitCode() == 0 && c.commandOut != nil:
		return nil
	case errors.As(err, &limit):
		return limit
	case c.ctx.Err() != nil && errors.Is(err, context.Cause(c.ctx)):
		return fmt.Errorf("the call was cancelled: %w", context.Cause(c.ctx))
	case strings.HasSuffix(firstLine(err), "stack overflow"):
		return &LimitError{"call depth", "a stack of " + bytesText(stackCeiling), "more (endless recursion?)"}
	case refused > 0:
		return &LimitError{"memory", bytesText(c.limits.Memory), bytesText(refused)}
	default:
		return &TrapError{Cause: err, Output: c.stderr.quote()}
	}
}

func (c *call) setResponse(view []byte) {
	c.responded, c.tooLarge = true, 0
	if size := uint64(len(view)); size > c.limits.Response {
		c.tooLarge = size
		return
	}
	c.response = bytes.Clone(view)
}

func (c *call) setFailure(message []byte) {
	const most = 8 << 10 // no event and no log line has room for more
	text := strings.ToValidUTF8(string(message[:min(len(message), most)]), "\uFFFD")
	text, terminal := strings.CutPrefix(text, abi.TerminalPrefix)
	c.failure = &ModuleError{Message: text, IsTerminal: terminal}
}

func (c *call) log(level abi.Level, line []byte) { c.lines.add(level, line) }

// output returns where a file descriptor writes to, nil if it is none to write to.
func (c *call) output(fd uint32) io.Writer {
	switch {
	case fd == fdStdout && c.commandOut != nil:
		return c.commandOut
	case fd == fdStdout:
		return &c.stdout
	case fd == fdStderr:
		return &c.stderr
	default:
		return nil
	}
}

// flush logs what is left of lines that did not end.
func (c *call) flush() {
	c.stdout.flush()
	c.stderr.flush()
	c.lines.close()
}

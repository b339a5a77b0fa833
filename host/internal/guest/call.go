package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Log takes a module's log line.
type Log func(level abi.Level, line string)

// call is the host's side of one call: what the guest reads and what it has written so far.
type call struct {
	module      *Module
	request     []byte
	response    []byte
	responded   bool
	tooLarge    uint64 // the size of a response over the limit
	failure     *ModuleError
	memory      *boundedAllocator
	clock       clock
	lines       *lineBudget
	stdout      lineWriter
	stderr      lineWriter
	commandsOut cappedBuffer
}

// Call gives the module a request and returns its response. log gets the module's log lines as they come.
//
// Each call runs in a fresh instance: nothing that one call does is seen by another. Errors are of type *ModuleError,
// *LimitError or *TrapError, or wrap ctx's.
func (m *Module) Call(ctx context.Context, request []byte, log func(level abi.Level, line string)) ([]byte, error) {
	if size := uint64(len(request)); size > m.limits.Request {
		return nil, &LimitError{"request", bytesText(m.limits.Request), bytesText(size)}
	}
	call := m.newCall(request, log)
	defer call.flush()
	if m.tier == Command {
		return call.runCommand(ctx)
	}
	return call.runReactor(ctx)
}

func (m *Module) newCall(request []byte, log Log) *call {
	lines := &lineBudget{log: log, lines: m.limits.LogLines, bytes: m.limits.LogBytes}
	return &call{
		module:      m,
		request:     request,
		memory:      &boundedAllocator{limit: m.limits.Memory},
		lines:       lines,
		stdout:      lineWriter{level: abi.LevelInfo, lines: lines},
		stderr:      lineWriter{level: abi.LevelWarn, lines: lines},
		commandsOut: cappedBuffer{limit: m.limits.Response},
	}
}

func (c *call) runReactor(ctx context.Context) ([]byte, error) {
	var status int32
	err := c.run(ctx, func(ctx context.Context, instance api.Module) error {
		results, err := instance.ExportedFunction(abi.ExportReconcile).Call(ctx)
		if err == nil {
			status = api.DecodeI32(results[0])
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case c.tooLarge > 0:
		return nil, &LimitError{"response", bytesText(c.module.limits.Response), bytesText(c.tooLarge)}
	case c.failure != nil:
		return nil, c.failure
	case status != 0:
		return nil, &ModuleError{Message: fmt.Sprintf("%s returned %d and gave no reason", abi.ExportReconcile, status)}
	case !c.responded:
		return nil, &ModuleError{Message: abi.ExportReconcile + " returned without a response"}
	}
	return c.response, nil
}

func (c *call) runCommand(ctx context.Context) ([]byte, error) {
	err := c.run(ctx, func(ctx context.Context, instance api.Module) error {
		_, err := instance.ExportedFunction(abi.ExportStart).Call(ctx)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case c.commandsOut.dropped > 0:
		size := uint64(c.commandsOut.Len()) + c.commandsOut.dropped
		return nil, &LimitError{"response", bytesText(c.module.limits.Response), bytesText(size)}
	}
	return c.commandsOut.Bytes(), nil
}

// run makes an instance, has use call into it, and ends it.
func (c *call) run(ctx context.Context, use func(context.Context, api.Module) error) error {
	limits := c.module.limits
	bounded, cancel := context.WithTimeout(ctx, limits.Timeout)
	defer cancel()
	bounded = context.WithValue(bounded, callKey{}, c)
	bounded = experimental.WithMemoryAllocator(bounded, c.memory)
	instance, err := c.module.runtime.wazero.InstantiateModule(bounded, c.module.compiled, c.config())
	if err == nil {
		err = use(bounded, instance)
		_ = instance.Close(ctx) // frees memory only; the call's outcome is known
	}
	return c.explain(ctx, err)
}

// config makes the guest's world: no files, no environment, a clock and a random stream that are the same in every
// call.
func (c *call) config() wazero.ModuleConfig {
	config := wazero.NewModuleConfig().WithName("").WithArgs("module").
		WithWalltime(c.clock.wall, clockResolution).
		WithNanotime(c.clock.nano, clockResolution).
		WithNanosleep(c.clock.sleep).
		WithStderr(&c.stderr)
	if c.module.tier == Command {
		return config.WithStartFunctions().WithStdin(bytes.NewReader(c.request)).WithStdout(&c.commandsOut)
	}
	return config.WithStartFunctions(abi.ExportInitialize).WithStdout(&c.stdout)
}

// explain turns what wazero returns into one of the errors that Call promises.
func (c *call) explain(ctx context.Context, err error) error {
	var exit *sys.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == 0 && c.module.tier == Command:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("the call was cancelled: %w", context.Cause(ctx))
	case errors.Is(err, context.DeadlineExceeded):
		return &LimitError{"timeout", c.module.limits.Timeout.String(), "longer"}
	case c.memory.refused > 0:
		return &LimitError{"memory", bytesText(c.memory.limit), bytesText(c.memory.refused)}
	default:
		return &TrapError{Cause: err, Output: c.stderr.quote()}
	}
}

func (c *call) setResponse(view []byte) {
	c.responded, c.tooLarge = true, 0
	if size := uint64(len(view)); size > c.module.limits.Response {
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

func (c *call) log(level abi.Level, line string) { c.lines.add(level, line) }

func (c *call) flush() {
	c.stdout.flush()
	c.stderr.flush()
	c.lines.close()
}

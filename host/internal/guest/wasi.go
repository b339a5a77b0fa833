package guest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// What WASI preview 1 functions return.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoNosys   = 52
	errnoSpipe   = 70
)

// The file descriptors that there are.
const (
	fdStdin = iota
	fdStdout
	fdStderr
	fdNone // the first that there is not
)

const fileTypeCharacterDevice = 2

// offerWASI offers all functions of WASI preview 1, made inert. They are our own, since all their state must be that of
// one call: wazero's belong to an instance, and an instance serves many calls. Their signatures are taken from
// wazero's.
func (r *Runtime) offerWASI(ctx context.Context) error {
	compiled, err := wasi_snapshot_preview1.NewBuilder(r.wazero).Compile(ctx)
	if err != nil {
		return err
	}
	var functions []hostFunction
	for name, definition := range compiled.ExportedFunctions() {
		implementation, ok := wasiFunctions[name]
		if !ok {
			implementation = refusing(name)
		}
		functions = append(functions, hostFunction{name, definition.ParamTypes(), definition.ResultTypes(), wasi(implementation)})
	}
	if err := compiled.Close(ctx); err != nil {
		return err
	}
	return r.offer(ctx, wasi_snapshot_preview1.ModuleName, functions)
}

// wasiFunction is a WASI function: it returns an errno.
type wasiFunction func(c *call, memory api.Memory, args []uint64) (errno uint64)

func wasi(f wasiFunction) api.GoModuleFunc {
	return func(ctx context.Context, module api.Module, stack []uint64) {
		c := callOf(ctx)
		c.charge(0)
		if errno := f(c, module.Memory(), stack); len(stack) > 0 {
			stack[0] = errno
		}
	}
}

// refusing is for what there is nothing to do with: no files, no sockets.
func refusing(name string) wasiFunction {
	errno := uint64(errnoNosys)
	if strings.HasPrefix(name, "path_") || strings.HasPrefix(name, "fd_") {
		errno = errnoBadf
	}
	return func(*call, api.Memory, []uint64) uint64 { return errno }
}

// wasiFunctions are those that do something. All others refuse.
var wasiFunctions = map[string]wasiFunction{
	"args_get":            argsGet,
	"args_sizes_get":      argsSizesGet,
	"clock_res_get":       clockResGet,
	"clock_time_get":      clockTimeGet,
	"environ_get":         succeed,
	"environ_sizes_get":   environSizesGet,
	"fd_close":            onOpenFile(succeed),
	"fd_fdstat_get":       onOpenFile(fdFdstatGet),
	"fd_fdstat_set_flags": onOpenFile(succeed),
	"fd_filestat_get":     onOpenFile(fdFilestatGet),
	"fd_read":             fdRead,
	"fd_seek":             onOpenFile(noSeek),
	"fd_tell":             onOpenFile(noSeek),
	"fd_write":            fdWrite,
	"poll_oneoff":         pollOneoff,
	"proc_exit":           procExit,
	"random_get":          randomGet,
	"sched_yield":         succeed,
	"fd_prestat_get":      badFile,
	"fd_prestat_dir_name": badFile,
}

func succeed(*call, api.Memory, []uint64) uint64 { return errnoSuccess }

func badFile(*call, api.Memory, []uint64) uint64 { return errnoBadf }

func noSeek(*call, api.Memory, []uint64) uint64 { return errnoSpipe }

// onOpenFile lets f answer for stdin, stdout and stderr. Closing them changes nothing.
func onOpenFile(f wasiFunction) wasiFunction {
	return func(c *call, memory api.Memory, args []uint64) uint64 {
		if uint32(args[0]) >= fdNone {
			return errnoBadf
		}
		return f(c, memory, args)
	}
}

// written turns the outcome of writes to the guest's memory into an errno.
func written(ok ...bool) uint64 {
	for _, one := range ok {
		if !one {
			return errnoFault
		}
	}
	return errnoSuccess
}

// programName is what a module sees as its own name. Some runtimes panic without one.
const programName = "module\x00"

func argsSizesGet(_ *call, memory api.Memory, args []uint64) uint64 {
	return written(memory.WriteUint32Le(uint32(args[0]), 1), memory.WriteUint32Le(uint32(args[1]), uint32(len(programName))))
}

func argsGet(_ *call, memory api.Memory, args []uint64) uint64 {
	buffer := uint32(args[1])
	return written(memory.WriteUint32Le(uint32(args[0]), buffer), memory.WriteString(buffer, programName))
}

func environSizesGet(_ *call, memory api.Memory, args []uint64) uint64 {
	return written(memory.WriteUint32Le(uint32(args[0]), 0), memory.WriteUint32Le(uint32(args[1]), 0))
}

// lastClock is the highest id of a clock: real time, monotonic, and the CPU times of the process and the thread.
const lastClock = 3

func clockResGet(_ *call, memory api.Memory, args []uint64) uint64 {
	if uint32(args[0]) > lastClock {
		return errnoInval
	}
	return written(memory.WriteUint64Le(uint32(args[1]), uint64(tick)))
}

func clockTimeGet(c *call, memory api.Memory, args []uint64) uint64 {
	id := uint32(args[0])
	if id > lastClock {
		return errnoInval
	}
	now := uint64(c.clock.read())
	if id == 0 {
		now += uint64(c.epoch.UnixNano())
	}
	return written(memory.WriteUint64Le(uint32(args[2]), now))
}

func fdFdstatGet(_ *call, memory api.Memory, args []uint64) uint64 {
	var stat [24]byte
	stat[0] = fileTypeCharacterDevice
	binary.LittleEndian.PutUint64(stat[8:], 1<<1|1<<6) // the rights to read and to write
	return written(memory.Write(uint32(args[1]), stat[:]))
}

func fdFilestatGet(_ *call, memory api.Memory, args []uint64) uint64 {
	var stat [64]byte
	stat[16] = fileTypeCharacterDevice
	return written(memory.Write(uint32(args[1]), stat[:]))
}

// buffers calls visit with each of the buffers that a list in the guest's memory names, until it returns false.
func buffers(memory api.Memory, list, count uint32, visit func(buffer []byte) bool) bool {
	for i := range count {
		head, ok := memory.ReadUint64Le(list + 8*i)
		if !ok || uint64(list)+8*uint64(i)+8 > uint64(memory.Size()) {
			return false
		}
		buffer, ok := memory.Read(uint32(head), uint32(head>>32))
		if !ok {
			return false
		}
		if !visit(buffer) {
			break
		}
	}
	return true
}

func fdRead(c *call, memory api.Memory, args []uint64) uint64 {
	if uint32(args[0]) != fdStdin {
		return errnoBadf
	}
	total := 0
	ok := buffers(memory, uint32(args[1]), uint32(args[2]), func(buffer []byte) bool {
		n := copy(buffer, c.stdin)
		c.stdin = c.stdin[n:]
		c.charge(n)
		total += n
		return len(c.stdin) > 0
	})
	return written(ok, memory.WriteUint32Le(uint32(args[3]), uint32(total)))
}

func fdWrite(c *call, memory api.Memory, args []uint64) uint64 {
	out := c.output(uint32(args[0]))
	if out == nil {
		return errnoBadf
	}
	total := 0
	ok := buffers(memory, uint32(args[1]), uint32(args[2]), func(buffer []byte) bool {
		c.inChunks(buffer, func(chunk []byte) { _, _ = out.Write(chunk) }) // to memory, which does not fail
		total += len(buffer)
		return true
	})
	return written(ok, memory.WriteUint32Le(uint32(args[3]), uint32(total)))
}

func procExit(_ *call, _ api.Memory, args []uint64) uint64 {
	panic(sys.NewExitError(uint32(args[0])))
}

func randomGet(c *call, memory api.Memory, args []uint64) uint64 {
	buffer, ok := memory.Read(uint32(args[0]), uint32(args[1]))
	if !ok {
		return errnoFault
	}
	if c.random == nil {
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], c.seed)
		c.random = rand.NewChaCha8(seed) // the same stream in every call
	}
	c.inChunks(buffer, func(chunk []byte) { _, _ = c.random.Read(chunk) }) // which never fails
	return errnoSuccess
}

// The layout of subscriptions and events of poll_oneoff.
const (
	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 1 << 12
	eventClock       = 0
	clockAbsolute    = 1
)

// pollOneoff ends at once: files are always ready, and where only clocks are waited for, the call's clock is moved on
// to the first of them.
func pollOneoff(c *call, memory api.Memory, args []uint64) uint64 {
	count := uint32(args[2])
	if count == 0 {
		return errnoInval
	}
	subscriptions, ok := memory.Read(uint32(args[0]), count*subscriptionSize)
	if !ok || uint64(count)*subscriptionSize > uint64(memory.Size()) {
		return errnoFault
	}
	if count > maxSubscriptions {
		return errnoInval
	}
	c.charge(len(subscriptions))
	shortest, onlyClocks := c.shortestWait(subscriptions)
	events := uint32(0)
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionSize:] {
		if isClock := subscriptions[8] == eventClock; isClock && (!onlyClocks || c.wait(subscriptions) > shortest) {
			continue
		}
		var event [eventSize]byte
		copy(event[:8], subscriptions[:8])
		event[10] = subscriptions[8]
		if !memory.Write(uint32(args[1])+events*eventSize, event[:]) {
			return errnoFault
		}
		events++
	}
	if onlyClocks {
		c.clock.sleep(shortest)
	}
	return written(memory.WriteUint32Le(uint32(args[3]), events))
}

func (c *call) shortestWait(subscriptions []byte) (shortest time.Duration, onlyClocks bool) {
	onlyClocks = true
	first := true
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionSize:] {
		if subscriptions[8] != eventClock {
			onlyClocks = false
			continue
		}
		if wait := c.wait(subscriptions); first || wait < shortest {
			shortest, first = wait, false
		}
	}
	return shortest, onlyClocks
}

// wait returns how long a subscription of a clock has to wait yet.
func (c *call) wait(subscription []byte) time.Duration {
	timeout := binary.LittleEndian.Uint64(subscription[24:])
	if binary.LittleEndian.Uint16(subscription[40:])&clockAbsolute == 0 {
		return time.Duration(min(timeout, uint64(maxElapsed)))
	}
	now := uint64(c.clock.elapsed)
	if binary.LittleEndian.Uint32(subscription[16:]) == 0 {
		now += uint64(c.epoch.UnixNano())
	}
	if timeout <= now {
		return 0
	}
	return time.Duration(min(timeout-now, uint64(maxElapsed)))
}

package guest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// instance is a live instance of a module. It serves one call at a time.
type instance struct {
	module  api.Module
	memory  *boundedMemory
	fuel    api.MutableGlobal
	globals []api.MutableGlobal
	entries []byte // scratch space of snapshot.restore
	// called is the function that was called last, as long as its stack is small. Nothing on a stack is left for the next call to see.
	called api.Function
}

// keptStack is how large the stack of a function is at most, in bytes, that is kept for the next call. wazero begins with 10 KiB and
// doubles it by copying, up to 400 MB.
const keptStack = 128 << 10

// newInstance makes an instance of a program in its very first state. What runs at the start is metered as part of c.
func (p *program) newInstance(ctx context.Context, c *call) (*instance, error) {
	memory, err := newBoundedMemory(c.limits.Memory / wasmPage * wasmPage)
	if err != nil {
		return nil, err
	}
	ctx = experimental.WithMemoryAllocator(context.WithValue(ctx, callKey{}, c), memory)
	// Nothing is started here: what starts a module is called by name, so that its fuel can be seen.
	module, err := p.runtime.wazero.InstantiateModule(ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		memory.Free()
		return nil, c.explain(err, memory.refused)
	}
	i := &instance{module: module, memory: memory}
	i.fuel = i.global(p.rewritten.Fuel)
	for _, name := range p.rewritten.Globals {
		i.globals = append(i.globals, i.global(name))
	}
	return i, nil
}

func (i *instance) global(name string) api.MutableGlobal {
	return i.module.ExportedGlobal(name).(api.MutableGlobal) // the rewriting exports it as one
}

// close frees the instance. It must not be used any more.
func (i *instance) close(ctx context.Context) {
	_ = i.module.Close(ctx) // fails for modules with open files only, and there are none
	i.memory.Free()         // wazero frees it too, but only the first time counts
}

// call calls an exported function of no parameters, metered as part of c.
func (i *instance) call(ctx context.Context, c *call, name string) (status int32, err error) {
	function := i.function(name)
	if function == nil {
		return 0, nil
	}
	var stack [1]uint64
	err = function.CallWithStack(context.WithValue(ctx, callKey{}, c), stack[:])
	if size, known := stackSize(function); err == nil && known && size <= keptStack {
		i.called = function
	}
	return api.DecodeI32(stack[0]), c.explain(err, i.memory.refused)
}

// function returns an exported function, nil if there is none of this name.
func (i *instance) function(name string) api.Function {
	function := i.called
	if i.called = nil; function != nil && slices.Contains(function.Definition().ExportNames(), name) {
		return function
	}
	return i.module.ExportedFunction(name)
}

// stackSize returns how large a function's stack has become, which wazero does not tell: if another version of it has no such field,
// nothing is known.
func stackSize(function api.Function) (size int, known bool) {
	engine := reflect.ValueOf(function)
	if engine.Kind() != reflect.Pointer || engine.Elem().Kind() != reflect.Struct {
		return 0, false
	}
	stack := engine.Elem().FieldByName("stack")
	if !stack.IsValid() || stack.Type() != reflect.TypeFor[[]byte]() {
		return 0, false
	}
	return stack.Len(), true
}

// begin gives a call its first fuel.
func (i *instance) begin(c *call) {
	c.granted = min(c.slice, c.limits.Fuel)
	i.fuel.Set(c.granted)
	i.memory.refused = 0
}

// used returns the fuel that a call has used.
func (i *instance) used(c *call) uint64 { return c.fuel(int64(i.fuel.Get())) }

// reconcile serves one request.
func (i *instance) reconcile(ctx context.Context, c *call) ([]byte, error) {
	i.begin(c)
	status, err := i.call(ctx, c, abi.ExportReconcile)
	if err != nil {
		return nil, err
	}
	return c.outcome(status)
}

// size returns the size of the instance's memory in bytes.
func (i *instance) size() uint64 { return uint64(i.module.Memory().Size()) }

// view returns the instance's memory.
func (i *instance) view() []byte { return i.memory.reserved[:i.size()] }

// image is the state of an instance at the start of each call.
type image struct {
	memory  *snapshot
	size    uint64
	globals []uint64
}

// capture takes an image of an instance.
func (i *instance) capture(mode restoreMode) (*image, error) {
	memory, err := newSnapshot(i.view(), mode)
	if err != nil {
		return nil, err
	}
	img := &image{memory: memory, size: i.size()}
	for _, global := range i.globals {
		img.globals = append(img.globals, global.Get())
	}
	return img, nil
}

// errGrown says that an instance cannot be put back, since its memory has grown as far as it can.
var errGrown = errors.New("memory has grown")

// install makes a new instance look like the image.
func (img *image) install(i *instance) error {
	if missing := img.size - i.size(); missing > 0 {
		if _, ok := i.module.Memory().Grow(uint32(missing / wasmPage)); !ok {
			return fmt.Errorf("cannot grow a memory to the %s of its image", bytesText(img.size))
		}
	}
	if err := img.memory.install(i.view()); err != nil {
		return err
	}
	img.setGlobals(i)
	return nil
}

// restore puts an instance back that served a call.
func (img *image) restore(i *instance) error {
	used := i.view()
	if !i.shrink(img.size) {
		return errGrown
	}
	if pages := len(used) / hostPage; len(i.entries) < pages*8 {
		i.entries = make([]byte, pages*8)
	}
	img.setGlobals(i)
	return img.memory.restore(used, i.entries)
}

// shrink makes the instance's memory as small as it was before it grew. WebAssembly cannot, and neither does wazero offer
// it, but it takes whatever its allocator returns for a memory that grows.
func (i *instance) shrink(size uint64) bool {
	if i.size() == size {
		return true
	}
	i.memory.shrinkTo = size
	defer func() { i.memory.shrinkTo = 0 }()
	_, ok := i.module.Memory().Grow(1)
	return ok && i.size() == size
}

func (img *image) setGlobals(i *instance) {
	for n, value := range img.globals {
		i.globals[n].Set(value)
	}
}

package guest

import (
	"context"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// profiler looks at a guest's stack each time that it asks for fuel. Since only the tick is listened to, nothing else takes
// longer for it.
type profiler struct {
	tell  func(functions []string)
	names []string
}

// NewFunctionListener implements experimental.FunctionListenerFactory.
func (p *profiler) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener {
	return p
}

// Before implements experimental.FunctionListener.
func (p *profiler) Before(_ context.Context, _ api.Module, tick api.FunctionDefinition, _ []uint64, stack experimental.StackIterator) {
	p.names = p.names[:0]
	for stack.Next() {
		if definition := stack.Function().Definition(); definition != tick {
			p.names = append(p.names, definition.DebugName())
		}
	}
	p.tell(p.names)
}

// After implements experimental.FunctionListener.
func (*profiler) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort implements experimental.FunctionListener.
func (*profiler) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

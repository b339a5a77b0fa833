package engine

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idleTime is how long the host allocates next to nothing before it gives back the memory that was taken before.
	idleTime = 2 * time.Second
	// idleAllocations is next to nothing: what a host allocates in that time that only waits, in bytes.
	idleAllocations = 2 << 20
	// worthwhile is what must have been allocated since memory was given back, in bytes, for it to be worth the trouble.
	worthwhile = 8 << 20
)

// idler gives memory back to the operating system when work ends. What a burst of reconciles or the filling of a cache
// leaves behind is several times what the host holds, and Go returns it slowly. It implements manager.Runnable.
type idler struct {
	// allocated is what was allocated in all when it was looked last, givenBack when memory was given back last.
	allocated, givenBack uint64
	giveBack             func() // debug.FreeOSMemory, but in tests
}

// NeedLeaderElection is false: a host that waits is idle too.
func (i *idler) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (i *idler) Start(ctx context.Context) error {
	i.giveBack = debug.FreeOSMemory
	ticker := time.NewTicker(idleTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			i.look(allocations())
		}
	}
}

// look gives memory back if hardly any was allocated since it was called last, and much before that.
func (i *idler) look(allocated uint64) {
	if allocated-i.allocated < idleAllocations && allocated-i.givenBack > worthwhile {
		i.giveBack()
		i.givenBack = allocated
	}
	i.allocated = allocated
}

// allocations returns how many bytes were ever allocated.
func allocations() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

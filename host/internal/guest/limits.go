package guest

import (
	"runtime"
	"time"
)

const (
	wasmPage = 64 << 10 // bytes
	// maxMemory is as much as a size of 32 bits can tell.
	maxMemory = 4<<30 - wasmPage
)

// Options are the optional settings of a Runtime. The zero value of a field means its default.
type Options struct {
	// CacheDir is a folder for compiled modules, so that they need not be compiled again by the next process. It is
	// made, for this user alone, if it is missing. Whoever can write there can run code in the host. Empty: compiled
	// modules are kept in memory only.
	CacheDir string
	// ConcurrentCalls is how many calls run at the same time beside the first of each Module; more wait. Default: the
	// number of processors, since calls do nothing but compute.
	ConcurrentCalls int
	// IdleTimeout is how long a module that nobody calls stays in memory. Default 10 minutes.
	IdleTimeout time.Duration
	// MaxModule bounds a module's size, in bytes. Default 32 MiB. With the other two and what package meter bounds, it
	// bounds the time and memory that compiling takes; RATIONALE.md has the figures.
	MaxModule int
	// MaxFunctions bounds the number of functions of a module. Default 200,000.
	MaxFunctions int
	// MaxFunctionSize bounds the body of one function, in bytes: compiling takes about 1 KiB of memory for each of
	// them. Default 256 KiB.
	MaxFunctionSize int
	// Seed is what all randomness comes from that modules see, and Epoch when the clock of every call starts. Default 0 and
	// the first of January 2020: whoever sets them wants to know whether a module depends on them, which none should.
	Seed  uint64
	Epoch time.Time

	// Profile, if it is not nil, is given the names of the functions that a guest is in, innermost first, each time that it has
	// used another 1,000 units of fuel or so. It must be quick, and not keep the slice. Where the time goes is where fuel goes.
	Profile func(functions []string)

	// Compiled, if it is not nil, is told each time how long a module took to be compiled, and whether its compiled form was in
	// CacheDir. It is so too for one that was let go and comes back.
	Compiled func(took time.Duration, cached bool)

	// restore forces a way to put instances back, for comparison.
	restore restoreMode
}

func (o Options) withDefaults() Options {
	setDefault(&o.ConcurrentCalls, runtime.GOMAXPROCS(0))
	setDefault(&o.IdleTimeout, 10*time.Minute)
	setDefault(&o.MaxModule, 32<<20)
	setDefault(&o.MaxFunctions, 200_000)
	setDefault(&o.MaxFunctionSize, 256<<10)
	setDefault(&o.Epoch, epoch)
	return o
}

// Limits bound one call. The zero value of a field means its default.
type Limits struct {
	// Memory bounds the linear memory, in bytes. Default 64 MiB; at most 4 GiB less a page of 64 KiB.
	Memory uint64
	// Table bounds the elements of all tables together. Default 1,000,000.
	Table uint32
	// Fuel bounds the work of the call, in units that RATIONALE.md explains. Default 1,000,000,000.
	Fuel uint64
	// Timeout bounds the time of the call. Default 5 s.
	Timeout time.Duration
	// Request bounds the request, in bytes. Default 16 MiB.
	Request uint64
	// Response bounds the response, in bytes. Default 4 MiB.
	Response uint64
	// LogLines bounds the lines that are logged; the rest is dropped, which a last line says. Default 1,000.
	LogLines int
	// LogBytes bounds the length of all log lines together. Default 256 KiB.
	LogBytes int
}

// WithDefaults returns the limits with the default of each that is not set.
func (l Limits) WithDefaults() Limits {
	setDefault(&l.Memory, 64<<20)
	l.Memory = min(l.Memory, maxMemory)
	setDefault(&l.Table, 1_000_000)
	setDefault(&l.Fuel, 1_000_000_000)
	setDefault(&l.Timeout, 5*time.Second)
	setDefault(&l.Request, 16<<20)
	setDefault(&l.Response, 4<<20)
	setDefault(&l.LogLines, 1000)
	setDefault(&l.LogBytes, 256<<10)
	return l
}

// Isolation is what one call may see of those before it.
type Isolation string

const (
	// Hermetic calls see nothing of others: each starts from the same state. This is the default.
	Hermetic Isolation = "hermetic"
	// Pooled calls see whatever others left in the instance. It is there for comparison only.
	Pooled Isolation = "pooled"
)

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

package render

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Measurement is what calls of a module with one request take.
type Measurement struct {
	// Load is how long it takes to load the module, without a cache; First the first call, and Median and Worst those after it.
	Load   time.Duration `json:"loadNanoseconds"`
	First  time.Duration `json:"firstNanoseconds"`
	Median time.Duration `json:"medianNanoseconds"`
	Worst  time.Duration `json:"worstNanoseconds"`
	// Calls is how many there were after the first.
	Calls int `json:"calls"`
	// Fuel is what each call used, Memory the size of the module's memory afterwards, in bytes.
	Fuel   uint64 `json:"fuel"`
	Memory uint64 `json:"memoryBytes"`
	// Request and Response are their sizes, in bytes.
	Request  int `json:"requestBytes"`
	Response int `json:"responseBytes"`
	// Limits are those of the calls.
	Limits guest.Limits `json:"-"`
	// Functions are where the fuel goes, the most costly first.
	Functions []FunctionCost `json:"functions"`
}

// FunctionCost is what part of the fuel a guest function takes.
type FunctionCost struct {
	Name string `json:"name"`
	// Self is the part that is used in the function itself, Total that with what it calls. 1 is all.
	Self  float64 `json:"self"`
	Total float64 `json:"total"`
}

// Measure calls a module from a URL again and again with a request, for as long as it is told to, with the limits of an entry;
// nil stands for the defaults.
func Measure(ctx context.Context, url string, entry *config.Controller, request []byte, duration time.Duration) (m *Measurement, err error) {
	limits, err := limitsOf(entry)
	if err != nil {
		return nil, err
	}
	fetched, err := source.Fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	m = &Measurement{Request: len(request), Limits: limits}
	err = withModule(ctx, guest.Options{ConcurrentCalls: 1}, fetched, limits, func(module *guest.Module, load time.Duration) error {
		m.Load = load
		return m.call(ctx, module, request, duration)
	})
	if err != nil {
		return nil, err
	}
	profile := &profile{self: map[string]int{}, total: map[string]int{}}
	err = withModule(ctx, guest.Options{ConcurrentCalls: 1, Profile: profile.sample}, fetched, limits, func(module *guest.Module, _ time.Duration) error {
		clear(profile.self) // loading calls the module too
		clear(profile.total)
		profile.samples = 0
		for i := 0; i < profiledCalls && profile.samples < enoughSamples; i++ {
			if _, err := module.Call(ctx, request, ignoreLog); err != nil {
				return err
			}
		}
		m.Functions = profile.costs()
		return nil
	})
	return m, err
}

func limitsOf(entry *config.Controller) (limits guest.Limits, err error) {
	if entry != nil {
		limits, err = setup.Limits(entry.Limits)
	}
	return limits.WithDefaults(), err
}

const (
	// profiledCalls is how many calls are profiled at most, and enoughSamples how many looks into their stacks are enough.
	profiledCalls = 200
	enoughSamples = 20_000
)

func ignoreLog(abi.Level, string) {}

func withModule(ctx context.Context, options guest.Options, fetched *source.Module, limits guest.Limits, use func(*guest.Module, time.Duration) error) (err error) {
	runtime, err := guest.NewRuntime(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runtime.Close(ctx)) }()
	begin := time.Now()
	module, err := runtime.Load(ctx, fetched.Bytes, limits, guest.Hermetic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, module.Close(ctx)) }()
	return use(module, time.Since(begin))
}

// call calls the module until the time is up.
func (m *Measurement) call(ctx context.Context, module *guest.Module, request []byte, duration time.Duration) error {
	var took []time.Duration
	for end := time.Now().Add(duration); len(took) < 2 || time.Now().Before(end); {
		begin := time.Now()
		result, err := module.Call(ctx, request, ignoreLog)
		if err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		m.Fuel, m.Memory, m.Response = result.Fuel, result.Memory, len(result.Response)
	}
	m.First, took = took[0], took[1:]
	slices.Sort(took)
	m.Calls, m.Median, m.Worst = len(took), took[len(took)/2], took[len(took)-1]
	return nil
}

// profile counts in which functions a guest was found.
type profile struct {
	samples     int
	self, total map[string]int
}

func (p *profile) sample(functions []string) {
	if len(functions) == 0 {
		return
	}
	p.samples++
	p.self[functions[0]]++
	for i, name := range functions {
		if !slices.Contains(functions[:i], name) { // one that calls itself counts once
			p.total[name]++
		}
	}
}

func (p *profile) costs() []FunctionCost {
	part := func(n int) float64 { return float64(n) / float64(p.samples) }
	costs := make([]FunctionCost, 0, len(p.total))
	for _, name := range slices.Sorted(maps.Keys(p.total)) {
		costs = append(costs, FunctionCost{strings.TrimPrefix(name, "."), part(p.self[name]), part(p.total[name])})
	}
	slices.SortStableFunc(costs, func(a, b FunctionCost) int {
		return cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(b.Total, a.Total))
	})
	return costs
}

// Requests has the requests noted that a module is called with.
type Requests struct {
	*Module
	// Last is the last one.
	Last []byte
}

// CallFuel calls the module.
func (r *Requests) CallFuel(ctx context.Context, request []byte, log func(abi.Level, string)) (response []byte, fuel uint64, err error) {
	r.Last = request
	return r.Module.CallFuel(ctx, request, log)
}

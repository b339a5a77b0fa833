package guest

import (
	"maps"
	"slices"

	"github.com/wasmloop/wasmloop/host/internal/guest/meter"
)

// Description tells a person what a module is and how it is run.
type Description struct {
	Tier Tier
	// Imports and Exports are the module's own functions, sorted: MODULE.NAME and NAME.
	Imports, Exports []string
	// Memory is the size that the module's memory starts with, Image its size at the start of each call, in bytes.
	Memory, Image uint64
	// Restoring says how instances are put back after a call, Because why that is not the best way.
	Restoring, Because string
}

// Describe describes the module.
func (m *Module) Describe() Description {
	p := m.program
	p.mu.Lock()
	defer p.mu.Unlock()
	d := Description{
		Tier:      p.tier,
		Memory:    uint64(p.memory) * wasmPage,
		Exports:   p.exports,
		Imports:   p.imports,
		Restoring: p.mode.String(),
		Because:   p.why,
	}
	if d.Image = d.Memory; p.image != nil {
		d.Image = p.image.size
	}
	return d
}

// noteInterface remembers what Describe tells, since compiled modules are let go when they are idle.
func (p *program) noteInterface() {
	p.memory = p.rewritten.Memory
	p.exports = slices.Sorted(maps.Keys(p.compiled.ExportedFunctions()))
	p.imports = nil
	for _, function := range p.compiled.ImportedFunctions() {
		if module, name, _ := function.Import(); module != meter.TickModule {
			p.imports = append(p.imports, module+"."+name)
		}
	}
	slices.Sort(p.imports)
	p.imports = slices.Compact(p.imports) // languages import a function once for each type that they give it
}

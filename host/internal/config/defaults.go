package config

// What a config file leaves out.
const (
	DefaultMemory          Size     = "64Mi"
	DefaultFuel            Count    = "1G"
	DefaultTimeout         Duration = "5s"
	DefaultRequest         Size     = "16Mi"
	DefaultResponse        Size     = "4Mi"
	DefaultTables          Count    = "1M"
	DefaultLogLines        Count    = "1k"
	DefaultLogBytes        Size     = "256Ki"
	DefaultIsolation                = "hermetic"
	DefaultResync          Duration = "10h"
	DefaultWorkers                  = 4
	DefaultMaxPerReconcile          = 100
)

var defaultLimits = Limits{
	Memory: DefaultMemory, Fuel: DefaultFuel, Timeout: DefaultTimeout, Request: DefaultRequest, Response: DefaultResponse,
	Tables: DefaultTables, LogLines: DefaultLogLines, LogBytes: DefaultLogBytes,
}

func (l *Limits) setDefaults(defaults Limits) {
	setDefault(&l.Memory, defaults.Memory)
	setDefault(&l.Fuel, defaults.Fuel)
	setDefault(&l.Timeout, defaults.Timeout)
	setDefault(&l.Request, defaults.Request)
	setDefault(&l.Response, defaults.Response)
	setDefault(&l.Tables, defaults.Tables)
	setDefault(&l.LogLines, defaults.LogLines)
	setDefault(&l.LogBytes, defaults.LogBytes)
}

func (c *Config) setDefaults() {
	for name, module := range c.Modules {
		module.Limits.setDefaults(defaultLimits)
		setDefault(&module.Isolation, DefaultIsolation)
		c.Modules[name] = module
	}
	if c.Policy.Signatures != nil {
		setDefault(&c.Policy.Signatures.Require, RequireAny)
	}
	for i := range c.Controllers {
		controller := &c.Controllers[i]
		controller.Limits.setDefaults(c.Modules[controller.Module].Limits)
		for j := range controller.Owns {
			setDefault(&controller.Owns[j].UpdateStrategy, UpdateInPlace)
			setDefault(&controller.Owns[j].OwnerReference, OwnerReferenceController)
		}
		setDefault(&controller.Workers, DefaultWorkers)
		setDefault(&controller.Resync, DefaultResync)
		setDefault(&controller.Prune.MaxPerReconcile, DefaultMaxPerReconcile)
		if string(controller.Settings) == "null" { // as any other field without a value
			controller.Settings = nil
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

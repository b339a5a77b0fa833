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

func (c *Config) setDefaults() {
	for name, module := range c.Modules {
		limits := &module.Limits
		setDefault(&limits.Memory, DefaultMemory)
		setDefault(&limits.Fuel, DefaultFuel)
		setDefault(&limits.Timeout, DefaultTimeout)
		setDefault(&limits.Request, DefaultRequest)
		setDefault(&limits.Response, DefaultResponse)
		setDefault(&limits.Tables, DefaultTables)
		setDefault(&limits.LogLines, DefaultLogLines)
		setDefault(&limits.LogBytes, DefaultLogBytes)
		setDefault(&module.Isolation, DefaultIsolation)
		c.Modules[name] = module
	}
	for i := range c.Controllers {
		controller := &c.Controllers[i]
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

package engine

import (
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/record"
)

// callRecorder records the calls of a module by one controller.
type callRecorder struct {
	store      *record.Store
	host       string
	controller string
	module     record.Module
}

// openStore opens what calls are recorded to, if they are to be recorded.
func (e *Engine) openStore(options record.StoreOptions) (err error) {
	if options.Dir == "" {
		return nil
	}
	options.Done = func(err error) {
		outcome := "written"
		if err != nil {
			outcome = "lost"
			e.log.V(1).Info("a call could not be recorded", "reason", err.Error())
		}
		recordings.WithLabelValues(outcome).Inc()
	}
	e.store, err = record.Open(options)
	return err
}

// callRecorder returns what records the calls of a controller, nil if nothing does.
func (e *Engine) callRecorder(entry *config.Controller, configured config.Module) *callRecorder {
	if e.store == nil {
		return nil
	}
	return &callRecorder{e.store, e.version, entry.Name, record.Module{
		Name: entry.Module, Source: configured.Source, Isolation: guest.Isolation(configured.Isolation),
	}}
}

func (c *callRecorder) record(start time.Time, request []byte, result *guest.Result, err error) {
	recording := &record.Recording{
		Version: record.Version, Time: start, Duration: time.Since(start), Host: c.host, Controller: c.controller, Module: c.module,
		Request: request, Response: string(result.Response), Fuel: result.Fuel,
	}
	if err != nil {
		recording.Error = err.Error()
	}
	c.store.Add(recording)
}

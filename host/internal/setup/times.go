package setup

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// times are when a controller's objects are looked at.
type times struct {
	resync, minInterval time.Duration
	schedule            reconcile.Schedule // nil if there is none
}

// timesOf translates what the config says of times, which was validated.
func timesOf(entry *config.Controller) (t times, err error) {
	if t.resync, err = entry.Resync.Duration(); err != nil {
		return t, err
	}
	if entry.MinInterval != "" {
		if t.minInterval, err = entry.MinInterval.Duration(); err != nil {
			return t, err
		}
	}
	if entry.Schedule == "" {
		return t, nil
	}
	schedule, err := cron.ParseStandard(entry.Schedule)
	if err != nil {
		return t, fmt.Errorf("cannot use the schedule of controller %s: %w", entry.Name, err)
	}
	t.schedule = utc{schedule}
	return t, nil
}

// utc is a schedule in UTC, unless it names a time zone itself: where a host runs makes no difference.
type utc struct{ cron.Schedule }

// Next implements reconcile.Schedule.
func (u utc) Next(after time.Time) time.Time { return u.Schedule.Next(after.UTC()) }

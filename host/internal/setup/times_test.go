package setup

import (
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// TestSchedule asks for the next time as a host does in another time zone: where it runs makes no difference.
func TestSchedule(t *testing.T) {
	elsewhere := time.FixedZone("elsewhere", 5*60*60)
	now := time.Date(2026, 3, 1, 1, 30, 0, 0, elsewhere) // 20:30 UTC on the day before
	tests := map[string]struct {
		reason, schedule string
		want             time.Time
	}{
		"utc":       {"three o'clock is in UTC", "0 3 * * *", time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)},
		"time zone": {"it says which it is in", "CRON_TZ=America/New_York 0 18 * * *", time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)},
		"steps":     {"each quarter of an hour", "*/15 * * * *", time.Date(2026, 2, 28, 20, 45, 0, 0, time.UTC)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			times, err := timesOf(&config.Controller{Resync: "10h", Clock: true, Schedule: tt.schedule})
			if err != nil {
				t.Fatal(err)
			}
			if got := times.schedule.Next(now); !got.Equal(tt.want) {
				t.Errorf("%s: got %s, want %s", tt.reason, got.UTC(), tt.want)
			}
		})
	}
}

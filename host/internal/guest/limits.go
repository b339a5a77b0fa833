package guest

import "time"

const wasmPage = 64 << 10 // bytes

// Limits bound one call. The zero value of a field means its default.
type Limits struct {
	// Memory bounds the linear memory, in bytes. Default 64 MiB.
	Memory uint64
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

func (l Limits) withDefaults() Limits {
	setDefault(&l.Memory, 64<<20)
	setDefault(&l.Timeout, 5*time.Second)
	setDefault(&l.Request, 16<<20)
	setDefault(&l.Response, 4<<20)
	setDefault(&l.LogLines, 1000)
	setDefault(&l.LogBytes, 256<<10)
	return l
}

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

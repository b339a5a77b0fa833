package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/internal/hostcall"
)

// Log writes to the host's log, where each line is attributed to the controller and the object. In native tests the
// lines go to stderr.
var Log Logger

// Logger writes structured log lines. The zero Logger works; Log is one.
type Logger struct {
	fields []any
}

// With returns a Logger that adds these keys and values to each line.
func (l Logger) With(keysAndValues ...any) Logger {
	return Logger{fields: append(append([]any(nil), l.fields...), keysAndValues...)}
}

// Debug logs what helps to find a fault. keysAndValues alternate, as in Debug("message", "key", value).
func (l Logger) Debug(msg string, keysAndValues ...any) { l.write(abi.LevelDebug, msg, keysAndValues) }

// Info logs what happens.
func (l Logger) Info(msg string, keysAndValues ...any) { l.write(abi.LevelInfo, msg, keysAndValues) }

// Warn logs what someone may have to look at.
func (l Logger) Warn(msg string, keysAndValues ...any) { l.write(abi.LevelWarn, msg, keysAndValues) }

// Error logs what went wrong. An error that the reconcile function returns is logged by the host anyway.
func (l Logger) Error(msg string, keysAndValues ...any) { l.write(abi.LevelError, msg, keysAndValues) }

func (l Logger) write(level abi.Level, msg string, fields []any) {
	line := appendValue([]byte(`{"msg":`), msg)
	line = appendFields(line, l.fields)
	line = appendFields(line, fields)
	hostcall.Log(level, append(line, '}'))
}

// appendFields appends alternating keys and values as members of a JSON object. A last key without a value gets null.
func appendFields(line []byte, fields []any) []byte {
	for i := 0; i < len(fields); i += 2 {
		key := fmt.Sprint(fields[i])
		if key == "msg" {
			key = "msg_" // the line's own message has this key
		}
		line = append(appendValue(append(line, ','), key), ':')
		if i+1 < len(fields) {
			line = appendValue(line, fields[i+1])
		} else {
			line = append(line, "null"...)
		}
	}
	return line
}

// appendValue appends value as JSON, errors as their messages, and what has no JSON form as fmt prints it.
func appendValue(line []byte, value any) []byte {
	if err, ok := value.(error); ok {
		value = err.Error()
	}
	buffer := bytes.NewBuffer(line)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return appendValue(line, fmt.Sprint(value))
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
}

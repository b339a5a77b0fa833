package cli

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// levelOf returns how much is logged with a config.
func levelOf(conf *config.Config, debug bool) slog.Level {
	if conf.LogLevel == config.LogDebug || conf.LogLevel == "" && debug {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// newLogger returns a logger that writes lines of the format to w, from a level on that may change, and makes the libraries log to it too.
func newLogger(w io.Writer, format string, level slog.Leveler) (logr.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler
	switch format {
	case "text":
		handler = slog.NewTextHandler(w, options)
	case "json":
		handler = slog.NewJSONHandler(w, options)
	default:
		return logr.Logger{}, fmt.Errorf("unknown --log-format %q: want text or json", format)
	}
	logger := logr.FromSlogHandler(handler)
	log.SetLogger(logger)
	klog.SetLogger(logger)
	return logger, nil
}

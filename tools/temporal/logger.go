package main

import (
	"fmt"

	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
)

// newLogger returns a logger that writes one JSON object a line to standard
// error, without the stack traces the server's own logger adds, and the level
// by which it can be made quiet.
func newLogger(lowest string) (zap.AtomicLevel, log.Logger, error) {
	level, err := zap.ParseAtomicLevel(lowest)
	if err != nil {
		return level, nil, fmt.Errorf("log level: %w", err)
	}
	cfg := zap.NewProductionConfig()
	cfg.Level, cfg.Sampling = level, nil
	cfg.DisableStacktrace, cfg.DisableCaller = true, true
	cfg.EncoderConfig.TimeKey = "" // the parent stamps each line
	cfg.OutputPaths, cfg.ErrorOutputPaths = []string{"stderr"}, []string{"stderr"}
	logger, err := cfg.Build()
	if err != nil {
		return level, nil, fmt.Errorf("set up logging: %w", err)
	}
	return level, log.NewZapLogger(logger), nil
}

// Command temporal runs a Temporal server and its web UI on one machine, on
// one SQLite file, with nothing to install. It is a module of its own because
// the server needs several hundred modules that the rest of Anabranch does not.
//
// Anabranch starts it as a child process. Once a call through the frontend to
// the visibility store works, one line of JSON is printed on standard output:
//
//	{"grpc":"127.0.0.1:7233","ui":"http://127.0.0.1:8233","pid":4711}
//
// It stops on SIGINT and SIGTERM, and when its standard input is a pipe that
// closes: so it ends with its parent even when that is killed. Everything else
// it has to say goes to standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// Exit codes: a wrong command line and a failure while running are told apart
// so that a parent knows whether starting again can help.
const (
	exitFailed = 1
	exitUsage  = 2
)

// ready is the line that tells the parent where the server listens.
type ready struct {
	GRPC string `json:"grpc"`
	UI   string `json:"ui"`
	PID  int    `json:"pid"`
}

func main() {
	opts, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "temporal:", err)
		os.Exit(exitUsage)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx = untilClosed(ctx, os.Stdin)

	// Libraries that print to standard output must not disturb the ready line.
	out := os.Stdout
	os.Stdout = os.Stderr
	if err := run(ctx, opts, func(r ready) error { return json.NewEncoder(out).Encode(r) }); err != nil {
		fmt.Fprintln(os.Stderr, "temporal:", err)
		os.Exit(exitFailed)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, opts options, report func(ready) error) error {
	st, err := openStore(ctx, opts.Dir, opts.Attributes)
	if err != nil {
		return err
	}
	defer st.Close()
	ports, err := choosePorts(opts)
	if err != nil {
		return err
	}
	level, logger, err := newLogger(opts.Log)
	if err != nil {
		return err
	}
	ports.release() // setting the server up makes it listen
	srv, err := newServer(st, ports, logger)
	if err != nil {
		return err
	}
	if err := srv.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	defer stopWithin(srv, stopTimeout)
	ui := startUI(ports)
	defer ui.Stop()
	// While its parts stop one after the other they complain about each other.
	defer level.SetLevel(zap.FatalLevel)
	if err := awaitReady(ctx, ports, opts.Attributes); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it was ready
		}
		return err
	}
	if err := report(ready{GRPC: ports.frontendAddress(), UI: ports.uiURL(), PID: os.Getpid()}); err != nil {
		return fmt.Errorf("print the ready line: %w", err)
	}
	<-ctx.Done()
	return nil
}

// untilClosed returns a context that also ends when in is a pipe that its
// writer closes. A terminal or /dev/null says nothing about a parent and is
// not read.
func untilClosed(ctx context.Context, in *os.File) context.Context {
	info, err := in.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return ctx
}

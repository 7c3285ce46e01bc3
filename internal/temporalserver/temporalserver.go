// Package temporalserver makes sure that there is a Temporal server to talk
// to. It uses, in this order: a server whose address is given; a server binary
// that is given; the Temporal CLI on PATH; and the server in tools/temporal,
// which it builds once and keeps in the user's cache directory.
//
// A server it starts is a child process: watched, started again when it dies,
// stopped with the part, and ending by itself when this process is killed.
package temporalserver

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"anabranch/internal/clock"
	"anabranch/internal/lifecycle"
)

// Options say which server to use and how to run it.
type Options struct {
	// Address (host:port) of a server that somebody else runs. When it is
	// given nothing is started and every field below but UI is unused.
	Address string
	// UI is the address of that server's web page; may be empty.
	UI string

	// Binary is a built tools/temporal; empty means look for one.
	Binary string
	// CLI is the Temporal CLI to use; default "temporal" on PATH. "-" means
	// do not look for one.
	CLI string
	// Source is the directory of tools/temporal; default: looked for above the
	// working directory, above the executable, and where this was compiled.
	Source string
	// CacheDir keeps what was built; default os.UserCacheDir()/anabranch.
	CacheDir string
	// Go is the command that builds; default "go" on PATH.
	Go string
	// Progress, when not nil, hears about a build: at once, every second, and
	// at the end.
	Progress func(Progress)

	Dir              string   // holds the server's database; required
	Port             int      // of the server on 127.0.0.1; 0 picks a free one
	UIPort           int      // of its web page on 127.0.0.1; 0 picks a free one
	LogLevel         string   // of the server; default "error"
	SearchAttributes []string // NAME=type, for example "Pipeline=Keyword"
	Memory           int64    // what the server may use, in bytes; it keeps to that as far as it can. 0: no limit

	StartTimeout time.Duration // from started to ready; default 2 min
	StopTimeout  time.Duration // from told to stop to killed; default 15 s
	Restarts     int           // starts in a row that may fail before giving up; default 10

	Log   *slog.Logger // default: discarded
	Clock clock.Clock  // default clock.Wall
}

func (o Options) withDefaults() Options {
	o.LogLevel = cmp.Or(o.LogLevel, "error")
	o.StartTimeout = cmp.Or(o.StartTimeout, 2*time.Minute)
	o.StopTimeout = cmp.Or(o.StopTimeout, 15*time.Second)
	o.Restarts = cmp.Or(o.Restarts, 10)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	return o
}

// Server is a Temporal server to talk to. It is a lifecycle.Part; Start
// returns once the server answers.
type Server struct {
	opts Options
	loop lifecycle.Loop
	run  *runner // nil when the server is somebody else's
	done chan struct{}

	mu   sync.Mutex // guards what follows
	at   ready
	err  error
	over bool
}

var _ lifecycle.Part = (*Server)(nil)

// New returns a server that is not started.
func New(opts Options) *Server {
	return &Server{opts: opts.withDefaults(), done: make(chan struct{})}
}

// Address returns host:port of the server's gRPC frontend, once Start has
// returned. It stays the same when the server is started again.
func (s *Server) Address() string { return s.place().GRPC }

// UI returns the URL of the web page, or "" when it is not known.
func (s *Server) UI() string { return s.place().UI }

// PID returns the process id of the server, 0 when it is not ours; it changes
// when the server is started again.
func (s *Server) PID() int { return s.place().PID }

func (s *Server) place() ready {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// Done is closed when there is no server any more: after Stop, or when it died
// again and again and starting it was given up; Err then says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server is gone, nil before that and after a plain Stop.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Start finds or builds a server, starts it and waits until it answers. The
// first build takes minutes; ctx ends the wait. Errors: Invalid when there is
// nothing to start or the options are wrong, Transient when it did not come
// up; the text has what the server said.
func (s *Server) Start(ctx context.Context) error {
	if s.opts.Address != "" {
		if _, _, err := net.SplitHostPort(s.opts.Address); err != nil {
			return invalid("Temporal address %q: %w: give it as host:port", s.opts.Address, err)
		}
		s.mu.Lock()
		s.at = ready{GRPC: s.opts.Address, UI: s.opts.UI}
		s.mu.Unlock()
		return nil
	}
	if s.opts.Dir == "" {
		return invalid("the Temporal server needs a directory for its database")
	}
	run, c, err := s.first(ctx)
	for tries := 1; err != nil && tries < portTries && s.anyPort() && strings.Contains(err.Error(), "address already in use"); tries++ {
		s.opts.Log.Info("a port of the Temporal server was taken while it started; it tries others", "error", err)
		run, c, err = s.first(ctx)
	}
	if err != nil {
		return err
	}
	// Clients keep the address, so a server that is started again listens
	// where the first one did.
	run.keep(c.ready)
	s.mu.Lock()
	s.run, s.at = run, c.ready
	s.mu.Unlock()
	s.opts.Log.Info("Temporal server is ready", "address", c.ready.GRPC, "ui", c.ready.UI, "pid", c.ready.PID, "kind", run.kind)
	s.loop.Go(func(ctx context.Context) { s.watch(ctx, c) })
	return nil
}

// portTries is how often a server with ports of its own choice is started: it
// finds free ones, and somebody may take one before it listens.
const portTries = 5

func (s *Server) anyPort() bool { return s.opts.Port == 0 || s.opts.UIPort == 0 }

// first starts the server for the first time.
func (s *Server) first(ctx context.Context) (*runner, *child, error) {
	run, err := choose(ctx, s.opts)
	if err != nil {
		return nil, nil, err
	}
	c, err := run.start(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("start the Temporal server: %w", err)
	}
	return run, c, nil
}

// Stop stops the server and waits until its process has ended.
func (s *Server) Stop() {
	s.loop.Stop()
	s.finish(nil)
}

func (s *Server) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over, s.err = true, err
		close(s.done)
	}
}

const (
	firstDelay = 200 * time.Millisecond
	lastDelay  = 10 * time.Second
	// settled is how long a server has to live for its next death to be the
	// first in a row.
	settled = time.Minute
)

// delay is the pause before the n-th start in a row, n from 0.
func delay(n int) time.Duration {
	if n > 10 {
		return lastDelay
	}
	return min(firstDelay<<n, lastDelay)
}

// watch starts the server again whenever it dies.
func (s *Server) watch(ctx context.Context, c *child) {
	log, began, failed := s.opts.Log, s.opts.Clock.Now(), 0
	for {
		if c != nil {
			select {
			case <-ctx.Done():
				c.stop(s.opts.StopTimeout)
				return
			case <-c.done:
			}
			if s.opts.Clock.Now().Sub(began) >= settled {
				failed = 0
			}
			log.Error("Temporal server died", "pid", c.ready.PID, "error", c.died())
		}
		select {
		case <-ctx.Done():
			return
		case <-s.opts.Clock.After(delay(failed)):
		}
		var err error
		began = s.opts.Clock.Now()
		c, err = s.run.start(ctx)
		failed++
		switch {
		case ctx.Err() != nil:
			if c != nil {
				c.stop(s.opts.StopTimeout)
			}
			return
		case err == nil:
			s.mu.Lock()
			s.at = c.ready
			s.mu.Unlock()
			log.Info("Temporal server is ready again", "address", c.ready.GRPC, "pid", c.ready.PID)
		case failed >= s.opts.Restarts:
			log.Error("Temporal server does not come back, giving up", "starts", failed, "error", err)
			s.finish(fmt.Errorf("the Temporal server died and %d starts failed, last: %w", failed, err))
			return
		default:
			log.Warn("Temporal server did not start", "error", err)
		}
	}
}

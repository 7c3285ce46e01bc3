package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/alert"
	"anabranch/internal/clock"
	"anabranch/internal/disk"
	"anabranch/internal/lifecycle"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/flightsql"
	"anabranch/serving/httpapi"
	"anabranch/serving/lookup"
	"anabranch/serving/pgwire"
	"anabranch/serving/sql"
	"anabranch/stream/natslog"
)

// Server is a running program.
type Server struct {
	config  Config
	opened  *opened
	log     *natslog.Store
	catalog *catalog
	parts   lifecycle.Group
	loop    lifecycle.Loop
	close   []func() // what parts are not, the last opened last
	engine  *sql.Engine
	lookup  *lookup.Lookup
	watches *httpapi.Watches
	pg      *pgwire.Server
	flight  *flightsql.Door
	memory  *memory
	runs    *runs
	alerts  *alert.Alerts // nil: nobody is called
	drifts  drifts        // alerts that audits have opened
	http    *http.Server
	address api.Addresses
	failed  chan error

	apply   sync.Mutex   // one apply at a time in this process
	seeking atomic.Int64 // how many looks into the catalog have begun; grows under apply
	stopped bool         // nothing is opened any more; guarded by apply

	mu        sync.RWMutex // guards the fields below
	pipelines map[string]*pipeline
	changing  map[string]bool // the old rooms of these have ended, the new ones are not open yet
}

// Start brings up everything that c asks for and returns once it answers.
func Start(ctx context.Context, c Config) (*Server, error) {
	c.ensureDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Server{config: c, memory: c.memory(), pipelines: map[string]*pipeline{}, changing: map[string]bool{}, failed: make(chan error, 4)}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	c := s.config
	if err := s.lockDir(); err != nil {
		return err
	}
	if err := c.checkPorts(); err != nil {
		return err
	}
	if err := s.startAlerts(); err != nil {
		return err
	}
	lineage, err := s.openLineage()
	if err != nil {
		return err
	}
	files := disk.Strict(disk.Real{})
	b, err := patiently(ctx, c, "the object store", func(ctx context.Context) (bucket.Bucket, error) { return openBucket(ctx, files, c.Bucket) })
	if err != nil {
		return fmt.Errorf("open the object store %s: %w", c.Bucket, err)
	}
	if closer, ok := b.(io.Closer); ok {
		s.close = append(s.close, func() { _ = closer.Close() })
	}
	log, err := patiently(ctx, c, "the log", func(ctx context.Context) (*natslog.Store, error) { return openLog(ctx, c) })
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	s.log = log
	s.close = append(s.close, func() { _ = log.Close() })
	id, err := producerID()
	if err != nil {
		return err
	}
	s.opened = &opened{config: c, disk: files, bucket: b, store: log, logger: c.Logger, id: id, memory: s.memory, alerts: s.alerts, pacing: newPacing(c, id)}
	s.catalog = &catalog{bucket: b, clock: clock.Wall}
	s.address = api.Addresses{NATS: log.ClientURL(), PID: os.Getpid()}
	if c.NATS != "" {
		s.address.NATS = c.NATS
	}
	listener, err := s.listen()
	if err != nil {
		return err
	}
	if s.runs, err = startRuns(ctx, s); err != nil {
		listener.Close()
		return err
	}
	if _, err := patiently(ctx, c, "the object store", func(ctx context.Context) (bool, error) { return true, s.refresh(ctx) }); err != nil {
		listener.Close()
		return err
	}
	if c.has(RoleSpeed) {
		answers := serving.New(serving.Options{Sources: s.sources, Seek: s.seek, Logger: c.Logger, Dice: c.Dice})
		s.lookup = lookup.New(answers, lookup.Options{Dir: filepath.Join(c.Dir, "cache")})
		s.watches = httpapi.NewWatches(s.lookup, httpapi.WatchOptions{})
		sql.LimitBlocks(2*s.memory.query, s.memory.query/8) // of queries and of verify
		s.engine, err = sql.New(ctx, answers, sql.Options{
			CacheDirs: []string{filepath.Join(c.Dir, "cache")}, Logger: c.Logger,
			MemoryLimit: fmt.Sprintf("%dB", s.memory.query), MaxQueries: s.memory.queries(), Lookup: s.lookup,
		})
		if err != nil {
			listener.Close()
			return err
		}
		if err := s.startDoors(ctx); err != nil {
			listener.Close()
			return err
		}
	}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	listener = netutil.LimitListener(listener, s.memory.connections(openFiles()))
	s.loop.Go(s.pace)
	s.loop.Go(s.watchMemory, s.follow, func(context.Context) {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve HTTP: %w", err)
		}
	})
	if s.runs.worker != nil {
		s.loop.Go(s.pokeCanaries)
		if lineage != nil {
			s.loop.Go(lineage.watch)
		}
	}
	if s.alerts != nil {
		s.loop.Go(s.watchDamage)
		if s.runs.worker != nil {
			s.loop.Go(s.watchRuns)
		}
	}
	return s.writeAddresses()
}

// lockDir makes the state folder and takes it for this process alone.
func (s *Server) lockDir() error {
	dir, err := filepath.Abs(s.config.Dir)
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(fault.Invalid, fmt.Errorf("make the state folder: %w", err))
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fault.Wrap(fault.Invalid, fmt.Errorf("lock the state folder: %w", err))
	}
	take := func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err := untilLetGo(take); err != nil {
		f.Close()
		return fault.New(fault.Invalid, "%s is in use by another anabranch: stop that one, or name another folder with --dir", dir)
	}
	// Where a process listened that has ended another one may listen by now:
	// commands must not take that for this one.
	addresses := filepath.Join(dir, "addresses.json")
	forget := func() error {
		if err := os.Remove(addresses); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("forget the addresses of before: %w", err)
		}
		return nil
	}
	if err := forget(); err != nil {
		f.Close()
		return err
	}
	s.close = append(s.close, func() { f.Close() }, func() {
		if err := forget(); err != nil {
			s.config.Logger.Warn("stopping", "error", err)
		}
	})
	return nil
}

func (s *Server) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", s.config.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fault.New(fault.Invalid, "%s is in use: choose another with --http, 127.0.0.1:0 picks a free port", s.config.Listen)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, fmt.Errorf("listen on %s: %w", s.config.Listen, err))
	}
	s.address.HTTP = "http://" + l.Addr().String()
	return l, nil
}

func producerID() (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fault.Wrap(fault.Bug, err)
	}
	host, _ := os.Hostname()
	return host + "-" + hex.EncodeToString(b[:]), nil
}

// writeAddresses tells other programs where this one listens; the file is
// there whole or not at all.
func (s *Server) writeAddresses() error {
	text, err := json.MarshalIndent(s.address, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	path := filepath.Join(s.config.Dir, "addresses.json")
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	return nil
}

// Addresses tells where the program listens.
func (s *Server) Addresses() api.Addresses { return s.address }

// Failed receives what the program cannot go on without.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends everything in the reverse order of need: the door, the pipelines,
// the log. It returns once all has ended.
func (s *Server) Stop() {
	if s.watches != nil {
		s.watches.Close()
	}
	if s.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := s.http.Shutdown(ctx); err != nil {
			_ = s.http.Close()
		}
		cancel()
	}
	if s.pg != nil {
		s.pg.Close()
	}
	if s.flight != nil {
		s.flight.Close()
	}
	s.loop.Stop()
	if s.runs != nil {
		s.runs.stop()
	}
	s.apply.Lock()
	s.stopped = true
	s.apply.Unlock()
	s.mu.Lock()
	pipelines := s.pipelines
	s.pipelines = map[string]*pipeline{}
	s.mu.Unlock()
	for _, p := range pipelines {
		p.stop(s.config.Logger)
	}
	if s.engine != nil {
		_ = s.engine.Close()
	}
	if s.lookup != nil {
		s.lookup.Close()
	}
	s.parts.Stop(s.config.Logger)
	for i := len(s.close) - 1; i >= 0; i-- {
		s.close[i]()
	}
	s.close = nil
}

// pipeline returns the pipeline in force called name.
func (s *Server) pipeline(name string) (*pipeline, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.pipelines[name]; p != nil {
		return p, nil
	}
	if s.changing[name] {
		return nil, fault.New(fault.Transient, "pipeline %s is being changed: ask again in a moment", name)
	}
	if len(s.pipelines) == 0 {
		return nil, fault.New(fault.NotFound, "there is no pipeline %q, and no other: apply one with `anabranch apply FOLDER`", name)
	}
	var names []string
	for n := range s.pipelines {
		names = append(names, n)
	}
	slices.Sort(names)
	return nil, fault.New(fault.NotFound, "there is no pipeline %q: %s", name, schemas.DidYouMean(name, names))
}

// find is pipeline for those who would not hear that there is none of one that
// another process applied a moment ago.
func (s *Server) find(name string) (*pipeline, error) {
	p, err := s.pipeline(name)
	if fault.Is(err, fault.NotFound) {
		s.seek()
		return s.pipeline(name)
	}
	return p, err
}

// sources is what queries may read. A pipeline that changes is waited for: a
// query in that moment must not hear that there is no such table.
func (s *Server) sources() []*serving.Source {
	s.mu.RLock()
	changing := len(s.changing) > 0
	s.mu.RUnlock()
	if changing {
		s.apply.Lock()
		//lint:ignore SA2001 whoever had the lock has opened the pipelines
		s.apply.Unlock()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*serving.Source
	for _, p := range s.pipelines {
		if p.speed != nil {
			all = append(all, p.asSource)
		}
	}
	return all
}

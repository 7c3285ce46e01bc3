package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"anabranch/fault"
)

const (
	// maxPayload is what one message may hold; event.MaxFrame stays below it.
	maxPayload = 8 << 20
	// maxPending is how much the server holds for one slow connection before
	// it cuts it off; the readers' outstanding pulls stay far below it.
	maxPending = 256 << 20
	// storeLimit is so large that the sum of all MaxBytes fits: the streams
	// and the file system are what limits.
	storeLimit = 1 << 50
	// memoryLimit bounds what is kept in memory: the readers' consumers.
	memoryLimit = 64 << 20
)

// jetStreamConfig is what startServer's options mean, for streams that are
// opened again.
func jetStreamConfig(o Options) *server.JetStreamConfig {
	return &server.JetStreamConfig{StoreDir: o.Dir, SyncAlways: true, MaxMemory: memoryLimit, MaxStore: storeLimit, Strict: true}
}

// embedded is a NATS server inside this process and its folder.
type embedded struct {
	*server.Server
	dir  string
	lock *os.File
	says *serverLog
}

func startServer(ctx context.Context, o Options) (*embedded, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, diskFault(err, "make the log's folder %s", o.Dir)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	say := &serverLog{log: o.Logger}
	so := &server.Options{
		ServerName: "anabranch", JetStream: true, StoreDir: o.Dir, SyncAlways: true,
		JetStreamMaxStore: storeLimit, JetStreamMaxMemory: memoryLimit,
		MaxPayload: maxPayload, MaxPending: maxPending, NoSigs: true, DontListen: o.Listen == "",
	}
	if o.Listen != "" {
		host, port, _ := net.SplitHostPort(o.Listen)
		so.Host = host
		if so.Port, err = strconv.Atoi(port); err != nil {
			lock.Close()
			return nil, fault.New(fault.Invalid, "log: listen %q: port %q is not a number", o.Listen, port)
		}
		if so.Port == 0 {
			so.Port = server.RANDOM_PORT
		}
	}
	s, err := server.NewServer(so)
	if err != nil {
		lock.Close()
		return nil, fault.Wrap(fault.Invalid, fmt.Errorf("configure the log's server: %w", err))
	}
	s.SetLoggerV2(say, false, false, false)
	e := &embedded{Server: s, dir: o.Dir, lock: lock, says: say}
	s.Start() // returns once the streams are recovered
	for !s.ReadyForConnections(100*time.Millisecond) || !s.JetStreamEnabled() {
		if err := say.fatal(); err != nil {
			e.stop()
			return nil, err
		}
		if ctx.Err() != nil {
			e.stop()
			return nil, fault.New(fault.Transient, "start the log's server in %s: it was not ready in time", o.Dir)
		}
	}
	return e, nil
}

func (e *embedded) stop() {
	e.Shutdown()
	e.WaitForShutdown()
	e.lock.Close() // gives the lock back
}

// free returns the bytes that the file system still has for us.
func (e *embedded) free() (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(e.dir, &st); err != nil {
		return 0, diskFault(err, "ask for the free space of %s", e.dir)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// lockDir makes sure that one process uses the folder: two servers in one
// store destroy it.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, diskFault(err, "lock the log's folder")
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	// A process that was killed has its locks until the kernel is done with it.
	for until := time.Now().Add(time.Second); err != nil && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		f.Close()
		return nil, fault.WithHint(fault.New(fault.Conflict, "lock the log's folder %s: another process uses it", dir), "stop that process, or give this one a folder of its own")
	}
	return f, nil
}

func diskFault(err error, format string, args ...any) error {
	kind := fault.Transient
	switch {
	case os.IsPermission(err):
		kind = fault.Denied
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = fault.Full
	}
	return fault.Wrap(kind, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err))
}

// serverLog hands what the server says to slog, and keeps the first thing it
// calls fatal instead of letting it end the process.
type serverLog struct {
	log *slog.Logger
	mu  sync.Mutex // guards what follows
	bad string
	// complained is called after each error; it does not wait. May be nil.
	complained func()
}

func (l *serverLog) onError(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complained = fn
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bad == "" {
		return nil
	}
	return fault.New(fault.Transient, "start the log's server: %s", l.bad)
}

func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.mu.Lock()
	if l.bad == "" {
		l.bad = text
	}
	l.mu.Unlock()
	l.log.Error("log server", "says", text)
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("log server", "says", fmt.Sprintf(format, v...))
	l.mu.Lock()
	complained := l.complained
	l.mu.Unlock()
	if complained != nil {
		complained()
	}
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("log server", "says", fmt.Sprintf(format, v...))
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("log server", "says", fmt.Sprintf(format, v...))
}

func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	namespace   = "default"
	clusterName = "active"

	// retention is how long closed workflows can be looked at. Thirty days
	// hold a month of nightly runs in a few megabytes.
	retention = 30 * 24 * time.Hour

	// lockWait is how long a start waits for the process that still has the
	// directory: one whose parent was killed a moment ago needs seconds to end.
	lockWait = 15 * time.Second

	databaseFile = "temporal.db"
	lockFile     = "lock"
)

// attributesOfFile are the connection settings of SQLite. With the write-ahead
// log a kill -9 loses nothing that was committed and throughput is several
// times higher; synchronous=1 keeps the database whole over a power cut, which
// may take the last moments of history with it. That is enough here: every
// step of a workflow may be repeated.
var attributesOfFile = map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "1", "busy_timeout": "10000"}

// store is the database of the server, held by one process at a time.
type store struct {
	sql  *config.SQL
	lock *os.File
}

// openStore locks dir and makes the database there when it has none. It
// changes the working directory to dir: the database is then opened by a plain
// name, whatever characters the path of dir has.
func openStore(ctx context.Context, dir string, attrs attributes) (*store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", plain(err))
	}
	lock, err := lockDir(ctx, dir, lockWait)
	if err != nil {
		return nil, err
	}
	st := &store{lock: lock, sql: connection(databaseFile, attributesOfFile)}
	if err := st.prepare(dir, attrs); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

func (s *store) prepare(dir string, attrs attributes) error {
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("enter the data directory: %w", plain(err))
	}
	if err := makeDatabase(); err != nil {
		return fmt.Errorf("make the database in %s: %w", dir, err)
	}
	ns, err := sqliteschema.NewNamespaceConfig(clusterName, namespace, false, attrs)
	if err != nil {
		return fmt.Errorf("search attributes: %w", err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	if err := sqliteschema.CreateNamespaces(s.sql, ns); err != nil {
		return fmt.Errorf("open the database in %s: %w: move %s away to start afresh (workflow histories are lost, views are not)",
			dir, err, databaseFile)
	}
	return nil
}

// Close lets another process have the directory.
func (s *store) Close() { _ = s.lock.Close() }

// makeDatabase sets the schema up in a file of another name and renames it, so
// that a kill in between leaves no half-made database.
func makeDatabase() error {
	if _, err := os.Stat(databaseFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unfinished := databaseFile + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// No write-ahead log here: everything has to be in the one file that is
	// renamed.
	if err := sqliteschema.SetupSchema(connection(unfinished, map[string]string{"mode": "rwc", "journal_mode": "delete"})); err != nil {
		return err
	}
	return os.Rename(unfinished, databaseFile)
}

func connection(file string, attrs map[string]string) *config.SQL {
	return &config.SQL{PluginName: sqlite.PluginName, DatabaseName: file, ConnectAttributes: maps.Clone(attrs)}
}

// lockDir takes the lock of dir, waiting for at most wait. The lock goes with
// the process, so it is never left behind.
func lockDir(ctx context.Context, dir string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write to the data directory: %w", plain(err))
	}
	deadline := time.After(wait)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-deadline:
			f.Close()
			return nil, fmt.Errorf("the data directory %s is in use by another Temporal server: stop that one, or give --dir another directory", dir)
		}
	}
}

// plain turns a path error into "path: reason".
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

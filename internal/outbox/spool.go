package outbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// spool keeps messages in a folder until they are delivered, a file each, so
// that they outlive the process.
type spool struct {
	dir  string
	next int
}

// openSpool returns the messages that a process before has left, the oldest
// first.
func openSpool(dir string) (*spool, []Message, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the folder of waiting messages: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read waiting messages: %w", err)
	}
	s, names := &spool{dir: dir}, []string(nil)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), spooled) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	var left []Message
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(name, "%d", &n); err == nil {
			s.next = max(s.next, n+1)
		}
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		m := Message{file: path}
		if err != nil || json.Unmarshal(text, &m) != nil {
			_ = os.Remove(path) // half a message says nothing to anybody
			continue
		}
		left = append(left, m)
	}
	return s, left, nil
}

const spooled = ".json"

// keep writes m so that it is there after a crash.
func (s *spool) keep(m *Message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	m.file = filepath.Join(s.dir, fmt.Sprintf("%012d%s", s.next, spooled))
	s.next++
	f, err := os.OpenFile(m.file+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(m.file+".new", m.file)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

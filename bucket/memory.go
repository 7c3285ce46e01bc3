package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"anabranch/fault"
	"anabranch/internal/clock"
)

// Memory is a bucket that lives as long as the process.
type Memory struct {
	clock   clock.Clock
	mu      sync.RWMutex // guards objects and writes
	objects map[string]memoryObject
	writes  int64
}

type memoryObject struct {
	data []byte // never changed once stored
	info Info
}

var _ Bucket = (*Memory)(nil)

// NewMemory returns an empty bucket in memory, whose objects are dated by the
// machine's clock.
func NewMemory() *Memory { return NewMemoryAt(clock.Wall) }

// NewMemoryAt returns an empty bucket in memory, whose objects are dated by c.
func NewMemoryAt(c clock.Clock) *Memory {
	return &Memory{clock: c, objects: map[string]memoryObject{}}
}

func (m *Memory) find(ctx context.Context, name string) (memoryObject, error) {
	if err := ctx.Err(); err != nil {
		return memoryObject{}, err
	}
	if err := CheckName(name); err != nil {
		return memoryObject{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.objects[name]
	if !ok {
		return memoryObject{}, fmt.Errorf("read %s: %w", name, ErrNotFound)
	}
	return o, nil
}

// Get implements Reader.
func (m *Memory) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	o, err := m.find(ctx, name)
	if err != nil {
		return nil, Info{}, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.info, nil
}

// Range implements Reader.
func (m *Memory) Range(ctx context.Context, name string, offset, size int64) (io.ReadCloser, error) {
	o, err := m.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := CheckRange(name, offset, size, o.info.Size); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(o.data[offset : offset+size])), nil
}

// Stat implements Reader.
func (m *Memory) Stat(ctx context.Context, name string) (Info, error) {
	o, err := m.find(ctx, name)
	return o.info, err
}

// List implements Reader. It yields the objects that were there at the call.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		m.mu.RLock()
		var found []Info
		for name, o := range m.objects {
			if strings.HasPrefix(name, prefix) && name > after {
				found = append(found, o.info)
			}
		}
		m.mu.RUnlock()
		slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
		for _, info := range found {
			if err := ctx.Err(); err != nil {
				yield(Info{}, err)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Put implements Bucket.
func (m *Memory) Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := CheckName(name); err != nil {
		return "", err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return "", fault.New(fault.Invalid, "put %s: rewind the body: %w", name, err)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return "", fault.New(fault.Invalid, "put %s: read the body: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, there := m.objects[name]
	if when.Absent && there || when.Match != "" && old.info.ETag != when.Match {
		return "", fmt.Errorf("put %s: %w", name, ErrCondition)
	}
	m.writes++
	info := Info{Name: name, Size: int64(len(data)), ETag: fmt.Sprintf("%016x", m.writes), Modified: m.clock.Now().UTC()}
	m.objects[name] = memoryObject{data, info}
	return info.ETag, nil
}

// Delete implements Bucket.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckName(name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// CheckRange is what every driver answers to a range of an object of total
// bytes: Invalid unless it lies inside.
func CheckRange(name string, offset, size, total int64) error {
	if offset < 0 || size < 0 || offset > total || size > total-offset {
		return fault.New(fault.Invalid, "read %s: bytes [%d, %d+%d) of an object of %d", name, offset, offset, size, total)
	}
	return nil
}

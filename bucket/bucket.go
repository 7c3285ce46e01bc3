// Package bucket is the object store: whole objects by name, written once or
// under a condition, never half.
package bucket

import (
	"context"
	"io"
	"iter"
	"time"

	"anabranch/fault"
)

// Info describes one object.
type Info struct {
	Name     string
	Size     int64
	ETag     string // opaque; changes with every write of the object
	Modified time.Time
}

// Reader reads objects. Every method is safe for concurrent use.
type Reader interface {
	// Get returns the whole object; the caller closes the body. Body reads
	// are retried and checked against length and checksum inside: a body that
	// ends without error is what was put. ErrNotFound when there is none.
	Get(ctx context.Context, name string) (io.ReadCloser, Info, error)
	// Range returns size bytes from offset; Invalid when the object is
	// shorter.
	Range(ctx context.Context, name string, offset, size int64) (io.ReadCloser, error)
	// Stat describes the object; ErrNotFound when there is none.
	Stat(ctx context.Context, name string) (Info, error)
	// List yields the objects whose names begin with prefix and are greater
	// than after, in byte order of their names. It sees every object put
	// before the call. ETag may be empty.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
}

// Summed is a body that knows the SHA-256 of what it holds: a store that keeps
// one need not compute it again.
type Summed interface {
	io.ReadSeeker
	Sum256() []byte
}

// Condition restricts a put. At most one field is set.
type Condition struct {
	Absent bool   // only when there is no object of that name
	Match  string // only when the object's ETag is this one
}

// Bucket reads and writes objects.
type Bucket interface {
	Reader
	// Put writes the whole object, durably, and returns its ETag. Readers see
	// the old object or the new one, never a mixture. With a condition that
	// does not hold, the answer is ErrCondition and nothing is written. After
	// a Transient error the object may have been written. Body is read from
	// its start, more than once when retried. Errors: Full, Denied,
	// Throttled, Transient, Invalid (bad name).
	Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) (etag string, err error)
	// Delete removes the object; deleting what is not there is no error.
	Delete(ctx context.Context, name string) error
}

// ErrNotFound says that there is no object of that name.
var ErrNotFound = fault.New(fault.NotFound, "no such object")

// ErrCondition says that a conditional put lost: somebody else's object is
// there.
var ErrCondition = fault.New(fault.Conflict, "the object is not as the condition says")

// CheckName reports whether name is usable in every store: 1 to 900 bytes of
// letters, digits and "._-=/", no empty, "." or ".." segment. No object's
// name may be another's followed by "/": some stores keep folders.
func CheckName(name string) error {
	bad := len(name) == 0 || len(name) > 900
	segment := 0
	for i := 0; i <= len(name) && !bad; i++ {
		if i == len(name) || name[i] == '/' {
			s := name[segment:i]
			bad = s == "" || s == "." || s == ".."
			segment = i + 1
			continue
		}
		c := name[i]
		bad = !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' || c == '=')
	}
	if bad {
		return fault.New(fault.Invalid, "object name %q: want segments of letters, digits and ._-= joined by /", name)
	}
	return nil
}

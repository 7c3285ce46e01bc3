// Package faultbucket wraps a bucket and makes chosen calls fail, each time
// in the same way: the tests' way of asking what happens when the nth call of
// a job does not come back.
package faultbucket

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"

	"anabranch/bucket"
	"anabranch/fault"
)

// Op is what is asked of a bucket.
type Op string

// The calls of a bucket. An iteration of List is one call.
const (
	Get    Op = "get"
	Range  Op = "range"
	Stat   Op = "stat"
	List   Op = "list"
	Put    Op = "put"
	Delete Op = "delete"
)

// Call is one call of the wrapped bucket.
type Call struct {
	N    int // 0, 1, 2, ... in the order the calls began
	Op   Op
	Name string // of the object, or the prefix of List
}

func (c Call) String() string { return fmt.Sprintf("call %d, %s %s", c.N, c.Op, c.Name) }

// Harm is what happens to a call.
type Harm struct {
	Kind  fault.Kind // of the error
	After bool       // the call has its effect and its answer is lost; else it has none
	// Body, for Get and Range: the call succeeds and its body breaks with the
	// error after Bytes bytes. For List: it breaks after Bytes objects.
	Body  bool
	Bytes int64
}

// Rule chooses the calls that fail. It is called under a lock, in the order
// of Call.N.
type Rule func(Call) (Harm, bool)

// Nth harms call n only.
func Nth(n int, h Harm) Rule { return func(c Call) (Harm, bool) { return h, c.N == n } }

// From harms call n and lets none after it have an effect: to the storage the
// process that makes the calls died there.
func From(n int, h Harm) Rule {
	return func(c Call) (Harm, bool) {
		if c.N > n {
			return Harm{Kind: h.Kind}, true
		}
		return h, c.N == n
	}
}

// Bucket is a bucket whose calls fail by a rule.
type Bucket struct {
	inner bucket.Bucket
	mu    sync.Mutex // guards rule and calls
	rule  Rule
	calls []Call
}

var _ bucket.Bucket = (*Bucket)(nil)

// Wrap returns b with the calls failing that rule chooses; nil chooses none.
func Wrap(b bucket.Bucket, rule Rule) *Bucket { return &Bucket{inner: b, rule: rule} }

// Set forgets the calls made so far and goes on with another rule.
func (b *Bucket) Set(rule Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rule, b.calls = rule, nil
}

// Calls returns the calls made since Wrap or Set.
func (b *Bucket) Calls() []Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Call(nil), b.calls...)
}

// begin counts a call. An error ends it before it had an effect; finish turns
// its outcome into what the caller sees.
func (b *Bucket) begin(op Op, name string) (h Harm, broken error, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := Call{len(b.calls), op, name}
	b.calls = append(b.calls, c)
	if b.rule == nil {
		return Harm{}, nil, nil
	}
	h, hit := b.rule(c)
	if !hit {
		return Harm{}, nil, nil
	}
	broken = fault.New(h.Kind, "%s: injected fault", c)
	if h.After || h.Body && (op == Get || op == Range || op == List) {
		return h, broken, nil
	}
	return h, nil, broken
}

// Get implements bucket.Reader.
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, bucket.Info, error) {
	h, broken, err := b.begin(Get, name)
	if err != nil {
		return nil, bucket.Info{}, err
	}
	body, info, err := b.inner.Get(ctx, name)
	body, err = harmed(body, err, h, broken)
	if err != nil {
		info = bucket.Info{}
	}
	return body, info, err
}

// Range implements bucket.Reader.
func (b *Bucket) Range(ctx context.Context, name string, offset, size int64) (io.ReadCloser, error) {
	h, broken, err := b.begin(Range, name)
	if err != nil {
		return nil, err
	}
	body, err := b.inner.Range(ctx, name, offset, size)
	return harmed(body, err, h, broken)
}

func harmed(body io.ReadCloser, err error, h Harm, broken error) (io.ReadCloser, error) {
	switch {
	case err != nil || broken == nil:
		return body, err
	case h.Body:
		return &short{body, h.Bytes, broken}, nil
	}
	body.Close()
	return nil, broken
}

// Stat implements bucket.Reader.
func (b *Bucket) Stat(ctx context.Context, name string) (bucket.Info, error) {
	_, broken, err := b.begin(Stat, name)
	if err == nil {
		err = broken
	}
	if err != nil {
		return bucket.Info{}, err
	}
	return b.inner.Stat(ctx, name)
}

// List implements bucket.Reader.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		h, broken, err := b.begin(List, prefix)
		if err != nil {
			yield(bucket.Info{}, err)
			return
		}
		left := h.Bytes
		for info, err := range b.inner.List(ctx, prefix, after) {
			if broken != nil && left == 0 {
				break
			}
			left--
			if !yield(info, err) || err != nil {
				return
			}
		}
		if broken != nil {
			yield(bucket.Info{}, broken)
		}
	}
}

// Put implements bucket.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, body io.ReadSeeker, when bucket.Condition) (string, error) {
	_, broken, err := b.begin(Put, name)
	if err != nil {
		return "", err
	}
	etag, err := b.inner.Put(ctx, name, body, when)
	if err == nil && broken != nil {
		return "", broken
	}
	return etag, err
}

// Delete implements bucket.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	_, broken, err := b.begin(Delete, name)
	if err != nil {
		return err
	}
	if err := b.inner.Delete(ctx, name); err != nil {
		return err
	}
	return broken
}

// short is a body that breaks.
type short struct {
	io.ReadCloser
	left int64
	err  error
}

func (s *short) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, s.err
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	if s.left -= int64(n); err == io.EOF {
		err = s.err // shorter than the break: it breaks all the same
	}
	return n, err
}

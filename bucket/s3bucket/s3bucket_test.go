package s3bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"anabranch/bucket"
	"anabranch/bucket/buckettest"
	"anabranch/bucket/s3bucket"
	"anabranch/fault"
)

// One server for the whole package; every test has a prefix of its own.
func TestS3(t *testing.T) {
	s := buckettest.StartS3(t)
	var prefixes atomic.Int32
	open := func(t *testing.T, via http.RoundTripper) *s3bucket.Bucket {
		o := options(s)
		o.Prefix = fmt.Sprintf("test/%d", prefixes.Add(1))
		if via != nil {
			o.HTTP = &http.Client{Transport: via}
		}
		b, err := s3bucket.New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("suite", func(t *testing.T) {
		buckettest.Run(t, func(t *testing.T) bucket.Bucket { return open(t, nil) })
	})
	t.Run("lost answers", func(t *testing.T) { lostAnswers(t, open) })
	t.Run("broken bodies", func(t *testing.T) { brokenBodies(t, open) })
	t.Run("half answers", func(t *testing.T) { halfAnswers(t, open) })
	t.Run("kinds", func(t *testing.T) { kinds(t, open) })
	t.Run("doors", func(t *testing.T) { doors(t, s) })
}

// The server that fault tests run against is one that the suite accepts.
func TestFake(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) bucket.Bucket {
		b, err := s3bucket.New(t.Context(), s3bucket.Options{
			Bucket: "fake", Endpoint: "http://fake", Region: "us-east-1", AccessKey: "a", SecretKey: "b", PathStyle: true, HTTP: &http.Client{Transport: buckettest.NewFakeS3()},
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func options(s buckettest.S3) s3bucket.Options {
	return s3bucket.Options{
		Bucket: "anabranch", Endpoint: s.Endpoint, Region: s.Region, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
		PathStyle: true, Create: true, Backoff: func(int) time.Duration { return 0 },
	}
}

// wire is a network that harms what it carries.
type wire struct {
	to   http.RoundTripper // nil: the network
	mu   sync.Mutex
	harm func(n int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error)
	n    int // requests since the harm began
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	to := w.to
	if to == nil {
		to = http.DefaultTransport
	}
	send := func() (*http.Response, error) { return to.RoundTrip(r) }
	w.mu.Lock()
	harm := w.harm
	w.n++
	n := w.n
	w.mu.Unlock()
	if harm == nil {
		return send()
	}
	return harm(n, r, send)
}

func (w *wire) set(harm func(n int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.harm, w.n = harm, 0
}

var errWire = errors.New("connection reset by the test")

// lose delivers the nth request and loses the answer.
func lose(n int) func(int, *http.Request, func() (*http.Response, error)) (*http.Response, error) {
	return func(i int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		answer, err := send()
		if i == n && err == nil {
			answer.Body.Close()
			return nil, errWire
		}
		return answer, err
	}
}

type opener = func(*testing.T, http.RoundTripper) *s3bucket.Bucket

func lostAnswers(t *testing.T, open opener) {
	w := &wire{}
	b := open(t, w)
	w.set(lose(1))
	etag, err := b.Put(t.Context(), "create", strings.NewReader("mine"), bucket.Condition{Absent: true})
	if err != nil {
		t.Fatalf("a create whose answer was lost: %v", err)
	}
	w.set(lose(1))
	if _, err = b.Put(t.Context(), "create", strings.NewReader("mine"), bucket.Condition{Absent: true}); !errors.Is(err, bucket.ErrCondition) {
		t.Errorf("a second create of the same bytes: %v", err)
	}
	w.set(lose(1))
	next, err := b.Put(t.Context(), "create", strings.NewReader("next"), bucket.Condition{Match: etag})
	if err != nil || next == etag {
		t.Errorf("a swap whose answer was lost: %q, %v", next, err)
	}
	w.set(lose(2)) // the answer to who won
	if _, err = b.Put(t.Context(), "create", strings.NewReader("other"), bucket.Condition{Match: etag}); !errors.Is(err, bucket.ErrCondition) {
		t.Errorf("a swap of an old version: %v", err)
	}
	w.set(lose(1))
	if err := b.Delete(t.Context(), "create"); err != nil {
		t.Errorf("a delete whose answer was lost: %v", err)
	}
	down := errors.New("no route")
	w.set(func(int, *http.Request, func() (*http.Response, error)) (*http.Response, error) { return nil, down })
	if _, err := b.Stat(t.Context(), "create"); !fault.Is(err, fault.Transient) || !errors.Is(err, down) || w.n != 6 {
		t.Errorf("with the network down, after %d attempts: %v (%s)", w.n, err, fault.KindOf(err))
	}
}

func brokenBodies(t *testing.T, open opener) {
	w := &wire{}
	b := open(t, w)
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	if _, err := b.Put(t.Context(), "x", bytes.NewReader(data), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	breaks := func(after int64, with error) func(int, *http.Request, func() (*http.Response, error)) (*http.Response, error) {
		return func(_ int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
			answer, err := send()
			if err == nil {
				answer.Body = &shortBody{answer.Body, after, with}
			}
			return answer, err
		}
	}
	for name, with := range map[string]error{"reset": errWire, "early end": io.EOF, "unexpected": io.ErrUnexpectedEOF} {
		w.set(breaks(300_001, with))
		body, _, err := b.Get(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || !bytes.Equal(got, data) || w.n != 4 {
			t.Errorf("%s: read %d bytes in %d requests, %v", name, len(got), w.n, err)
		}
		part, err := b.Range(t.Context(), "x", 17, 700_000)
		if err != nil {
			t.Fatal(err)
		}
		got, err = io.ReadAll(part)
		part.Close()
		if err != nil || !bytes.Equal(got, data[17:700_017]) {
			t.Errorf("%s: read %d bytes of a range, %v", name, len(got), err)
		}
		w.set(breaks(0, with))
		body, _, err = b.Get(t.Context(), "x")
		if err == nil {
			_, err = io.ReadAll(body)
			body.Close()
		}
		if !fault.Is(err, fault.Transient) {
			t.Errorf("%s without a byte: %v", name, err)
		}
	}
	w.set(breaks(500_000, errWire))
	body, _, err := b.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, body, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, nil).Put(t.Context(), "unrelated", strings.NewReader(""), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), "x", strings.NewReader("replaced"), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(body); !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("an object replaced between two halves: %v", err)
	}
	body.Close()
	w.set(func(_ int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		answer, err := send()
		if err == nil {
			answer.Body = flipped{answer.Body}
		}
		return answer, err
	})
	body, _, err = b.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(body); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a flipped bit: %v", err)
	}
}

// A store that holds the line is given up, however long it would have taken.
// The store is inside of the test, and so is the clock: nothing else stalls.
func TestStalls(t *testing.T) { synctest.Test(t, stalls) }

func stalls(t *testing.T) {
	w := &wire{to: buckettest.NewFakeS3()}
	o := options(buckettest.S3{Endpoint: "http://fake", Region: "us-east-1", AccessKey: "a", SecretKey: "b"})
	o.Prefix, o.HTTP, o.Stall = "stalls", &http.Client{Transport: w}, 20*time.Millisecond
	b, err := s3bucket.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	silent := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	first := func(n int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if n == 1 {
			return silent(r)
		}
		return send()
	}
	data := strings.Repeat("stalled ", 1000)
	w.set(first)
	if _, err := b.Put(t.Context(), "x", strings.NewReader(data), bucket.Condition{Absent: true}); err != nil {
		t.Errorf("a put whose first attempt stalled: %v", err)
	}
	w.set(func(n int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		answer, err := send()
		if n == 1 && err == nil {
			answer.Body = &stalledBody{answer.Body, 3000, r.Context()}
		}
		return answer, err
	})
	body, _, err := b.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != data || w.n != 2 {
		t.Errorf("a body that stalled: %d bytes in %d requests, %v", len(got), w.n, err)
	}
	body.Close()
	w.set(first)
	for _, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Errorf("a list whose first attempt stalled: %v", err)
		}
	}
	w.set(func(_ int, r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		return silent(r)
	})
	if _, err := b.Stat(t.Context(), "x"); !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), "not moved a byte for 20ms") || w.n != 6 {
		t.Errorf("with a store that says nothing, after %d attempts: %v", w.n, err)
	}
	// A reader with other things to do is no stall.
	w.set(nil)
	if body, _, err = b.Get(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * o.Stall)
	if got, err := io.ReadAll(body); err != nil || string(got) != data {
		t.Errorf("read late: %d bytes, %v", len(got), err)
	}
	body.Close()
}

type stalledBody struct {
	io.ReadCloser
	left int64
	ctx  context.Context
}

func (b *stalledBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		<-b.ctx.Done()
		return 0, b.ctx.Err()
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// An answer that ends where a proxy hung up is never taken for a whole one, an
// empty one for an empty bucket least of all.
func halfAnswers(t *testing.T, open opener) {
	w := &wire{}
	b := open(t, w)
	for _, name := range []string{"a", "b"} {
		if _, err := b.Put(t.Context(), name, strings.NewReader(name), bucket.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, left := range []int64{0, 1, 38, 39, 60, 150, 300} {
		w.set(func(n int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
			answer, err := send()
			if n == 1 && err == nil {
				answer.Body = &shortBody{answer.Body, left, io.EOF}
			}
			return answer, err
		})
		var found []string
		for info, err := range b.List(t.Context(), "", "") {
			if err != nil {
				t.Fatalf("a list cut after %d bytes: %v", left, err)
			}
			found = append(found, info.Name)
		}
		if len(found) != 2 || w.n != 2 {
			t.Errorf("a list cut after %d bytes yields %q in %d requests", left, found, w.n)
		}
	}
	// 412 although there is nothing: not somebody else's object.
	w.set(func(n int, r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if n == 1 {
			text := "<Error><Code>PreconditionFailed</Code></Error>"
			return &http.Response{StatusCode: 412, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}, nil
		}
		return send()
	})
	if _, err := b.Put(t.Context(), "c", strings.NewReader("c"), bucket.Condition{Absent: true}); err != nil {
		t.Errorf("a create that is refused although nothing is there: %v", err)
	}
}

type shortBody struct {
	io.ReadCloser
	left int64
	with error
}

func (b *shortBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.with
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

type flipped struct{ io.ReadCloser }

func (b flipped) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		p[0] ^= 4
	}
	return n, err
}

// kinds answers for the store: what each answer means to the caller, and
// whether it was tried again.
func kinds(t *testing.T, open opener) {
	for _, c := range []struct {
		status int
		code   string
		want   fault.Kind
		tries  int
	}{
		{409, "ConditionalRequestConflict", fault.Transient, 6}, {500, "InternalError", fault.Transient, 6}, {502, "", fault.Transient, 6},
		{503, "SlowDown", fault.Throttled, 6}, {429, "", fault.Throttled, 6}, {400, "RequestTimeout", fault.Transient, 6},
		{507, "", fault.Full, 1}, {403, "QuotaExceeded", fault.Full, 1}, {403, "AccessDenied", fault.Denied, 1}, {401, "", fault.Denied, 1},
		{404, "NoSuchBucket", fault.Denied, 1}, {404, "", fault.Transient, 6}, {412, "PreconditionFailed", fault.Transient, 6}, {400, "InvalidArgument", fault.Invalid, 1}, {301, "PermanentRedirect", fault.Invalid, 1},
	} {
		w := &wire{}
		b := open(t, w)
		w.set(func(int, *http.Request, func() (*http.Response, error)) (*http.Response, error) {
			text := ""
			if c.code != "" {
				text = "<Error><Code>" + c.code + "</Code><Message>m</Message></Error>"
			}
			return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}, nil
		})
		_, err := b.Put(t.Context(), "x", strings.NewReader("x"), bucket.Condition{})
		if !fault.Is(err, c.want) || w.n != c.tries {
			t.Errorf("%d %s: %s after %d tries, want %s after %d: %v", c.status, c.code, fault.KindOf(err), w.n, c.want, c.tries, err)
		}
	}
}

func doors(t *testing.T, s buckettest.S3) {
	for name, c := range map[string]struct {
		change func(*s3bucket.Options)
		want   fault.Kind
	}{
		"no name":         {func(o *s3bucket.Options) { o.Bucket = "" }, fault.Invalid},
		"half a key":      {func(o *s3bucket.Options) { o.SecretKey = "" }, fault.Invalid},
		"a bad prefix":    {func(o *s3bucket.Options) { o.Prefix = "a//b" }, fault.Invalid},
		"a wrong secret":  {func(o *s3bucket.Options) { o.SecretKey = "wrong" }, fault.Denied},
		"no such bucket":  {func(o *s3bucket.Options) { o.Bucket, o.Create = "absent", false }, fault.Invalid},
		"nobody answers":  {func(o *s3bucket.Options) { o.Endpoint, o.Attempts = "http://127.0.0.1:1", 2 }, fault.Transient},
		"minus attempts":  {func(o *s3bucket.Options) { o.Attempts = -1 }, fault.Invalid},
		"made when asked": {func(o *s3bucket.Options) { o.Bucket = "made" }, fault.Unknown},
	} {
		o := options(s)
		c.change(&o)
		if _, err := s3bucket.New(t.Context(), o); fault.KindOf(err) != c.want {
			t.Errorf("%s: %v (%s)", name, err, fault.KindOf(err))
		}
	}
}

package metamorphic

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/bucket"
	"anabranch/bucket/buckettest"
	"anabranch/bucket/faultbucket"
	"anabranch/bucket/s3bucket"
	"anabranch/fault"
)

// harm is one way in which the object store fails its callers.
type harm struct {
	name   string
	kinds  []fault.Kind // what callers may be told
	heals  bool         // a single one is nobody's business but the driver's
	atHTTP buckettest.Fault
	atCall faultbucket.Harm
}

// harmable is an object store whose nth call fails.
type harmable interface {
	bucket.Bucket
	fresh() bucket.Bucket // begins with an empty store; returns a way to it that is never harmed
	arm(n int, h harm, lasting bool)
	clear()
	calls() (n int, harmed []string)
}

// overHTTP is the S3 driver and the SDK over a network that fails.
type overHTTP struct {
	*s3bucket.Bucket
	wire  *buckettest.Wire
	open  func(http.RoundTripper) (*s3bucket.Bucket, error)
	t     testing.TB
	reuse http.RoundTripper // a server to use again; nil: one in this process, new each time
}

func openOverHTTP(t testing.TB, o s3bucket.Options, reuse http.RoundTripper) *overHTTP {
	o.Attempts, o.Backoff, o.PathStyle = 3, func(int) time.Duration { return 0 }, true
	s := &overHTTP{t: t, reuse: reuse, wire: buckettest.NewWire(reuse)}
	s.open = func(via http.RoundTripper) (*s3bucket.Bucket, error) {
		o.HTTP = &http.Client{Transport: via}
		return s3bucket.New(t.Context(), o)
	}
	if reuse == nil {
		s.wire.Connect(buckettest.NewFakeS3())
	}
	var err error
	if s.Bucket, err = s.open(s.wire); err != nil {
		t.Fatal(err)
	}
	return s
}

func openFake(t testing.TB) *overHTTP {
	return openOverHTTP(t, s3bucket.Options{Bucket: "fake", Endpoint: "http://fake", Region: "us-east-1", AccessKey: "a", SecretKey: "b", Stall: time.Second}, nil)
}

// openServer is a real S3 server behind the wire.
func openServer(t testing.TB) *overHTTP {
	s := buckettest.StartS3(t)
	return openOverHTTP(t, s3bucket.Options{
		Bucket: "anabranch", Create: true, Endpoint: s.Endpoint, Region: s.Region, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Stall: 2 * time.Second,
	}, http.DefaultTransport)
}

func (s *overHTTP) fresh() bucket.Bucket {
	to := s.reuse
	if to == nil {
		to = buckettest.NewFakeS3()
		s.wire.Connect(to)
	}
	s.wire.Set(nil)
	direct, err := s.open(to)
	if err != nil {
		s.t.Fatal(err)
	}
	return direct
}

func (s *overHTTP) arm(n int, h harm, lasting bool) {
	s.wire.Set(func(i int) (buckettest.Fault, bool) { return h.atHTTP, i == n || lasting && i > n })
}
func (s *overHTTP) clear()                 { s.wire.Clear() }
func (s *overHTTP) calls() (int, []string) { return s.wire.Calls() }

// atBorder is any driver, as the rooms see it.
type atBorder struct {
	*faultbucket.Bucket
	mu   sync.Mutex // guards what follows; taken behind the bucket's
	rule faultbucket.Rule
	hits []string
}

func openAtBorder() *atBorder { return &atBorder{Bucket: faultbucket.Wrap(bucket.NewMemory(), nil)} }

func (s *atBorder) fresh() bucket.Bucket {
	m := bucket.NewMemory()
	s.Bucket = faultbucket.Wrap(m, nil)
	return m
}

func (s *atBorder) arm(n int, h harm, lasting bool) {
	s.mu.Lock()
	s.hits, s.rule = nil, func(c faultbucket.Call) (faultbucket.Harm, bool) { return h.atCall, c.N == n || lasting && c.N > n }
	s.mu.Unlock()
	s.Set(func(c faultbucket.Call) (faultbucket.Harm, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.rule == nil {
			return faultbucket.Harm{}, false
		}
		got, hit := s.rule(c)
		if hit {
			s.hits = append(s.hits, c.String())
		}
		return got, hit
	})
}

func (s *atBorder) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rule = nil
}

func (s *atBorder) calls() (int, []string) {
	s.mu.Lock()
	hits := slices.Clone(s.hits)
	s.mu.Unlock()
	return len(s.Calls()), hits
}

var borderHarms = []harm{
	{name: "transient", atCall: faultbucket.Harm{Kind: fault.Transient}, kinds: []fault.Kind{fault.Transient}},
	{name: "throttled", atCall: faultbucket.Harm{Kind: fault.Throttled}, kinds: []fault.Kind{fault.Throttled}},
	{name: "denied", atCall: faultbucket.Harm{Kind: fault.Denied}, kinds: []fault.Kind{fault.Denied}},
	{name: "full", atCall: faultbucket.Harm{Kind: fault.Full}, kinds: []fault.Kind{fault.Full}},
	{name: "done, answer lost", atCall: faultbucket.Harm{Kind: fault.Transient, After: true}, kinds: []fault.Kind{fault.Transient}},
	{name: "broken body", atCall: faultbucket.Harm{Kind: fault.Transient, Body: true, Bytes: 7}, kinds: []fault.Kind{fault.Transient}},
	{name: "denied in mid-body", atCall: faultbucket.Harm{Kind: fault.Denied, Body: true, Bytes: 1}, kinds: []fault.Kind{fault.Denied}},
}

var httpHarms = []harm{
	{atHTTP: buckettest.Forbidden, kinds: []fault.Kind{fault.Denied}},
	{atHTTP: buckettest.GoneBucket, kinds: []fault.Kind{fault.Denied}},
	// A 404 where the object is: no caller can know better.
	{atHTTP: buckettest.NotFound, kinds: []fault.Kind{fault.Transient, fault.NotFound, fault.Invalid, fault.Denied}},
	{atHTTP: buckettest.Aborted, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.Failed, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.Internal, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.SlowDown, kinds: []fault.Kind{fault.Throttled}, heals: true},
	{atHTTP: buckettest.Reset, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.Short, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.Stall, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.LostAnswer, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.MutePut, kinds: []fault.Kind{fault.Transient}, heals: true},
	{atHTTP: buckettest.EmptyAnswer, kinds: []fault.Kind{fault.Transient}, heals: true},
}

// hasty is a clock on which waiting takes a hundredth of its time.
type hasty struct{}

func (hasty) Now() time.Time                         { return time.Now() }
func (hasty) After(d time.Duration) <-chan time.Time { return time.After(d / 100) }

// storeCase is a random case for object stores: of a middle size, and with
// nothing that the door refuses, as it could not store the letters.
func storeCase(seed uint64) *Case {
	for ; ; seed++ {
		c := generate(seed)
		if c.Time == "" || len(c.Events) < 60 || len(c.Events) > 130 || len(c.Sends) < 4 {
			continue
		}
		c.Rules = slices.DeleteFunc(c.Rules, func(r Rule) bool { return r.Action != "filter" })
		for i := range c.Sends {
			c.Sends[i].Events = slices.DeleteFunc(c.Sends[i].Events, func(n int) bool { return c.Events[n].Line != "" || c.Events[n].Bad })
		}
		c.Sends = slices.DeleteFunc(c.Sends, func(s Send) bool { return len(s.Events) == 0 })
		return c
	}
}

func (h harm) String() string {
	if h.name != "" {
		return h.name
	}
	return string(h.atHTTP)
}

// says checks that an error tells its receiver what to do and an operator
// where to look.
func (h harm) says(pipeline string, err error) error {
	kind := fault.KindOf(err)
	if !slices.Contains(h.kinds, kind) {
		return fmt.Errorf("%s is told as %s, want one of %v: %w", h, kind, h.kinds, err)
	}
	if text := err.Error(); !strings.Contains(text, pipeline+"/") && !strings.Contains(text, "of "+pipeline) && !strings.Contains(text, "pipeline "+pipeline) && !strings.Contains(text, "run ") {
		return fmt.Errorf("%s does not name what it met: %w", h, err)
	} else if kind == fault.Denied && h.atHTTP != "" && !strings.Contains(text, "credentials") && !strings.Contains(text, "bring the bucket back") {
		return fmt.Errorf("%s does not say what to do: %w", h, err)
	}
	return nil
}

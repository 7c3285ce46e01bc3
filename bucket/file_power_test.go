//go:build unix

package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"anabranch/bucket"
	"anabranch/bucket/buckettest"
	"anabranch/fault"
	"anabranch/internal/disk/faultdisk"
	"anabranch/internal/soak"
)

var (
	cuts = flag.Int("cuts", 1500, "power cuts under the file bucket")
	seed = flag.Uint64("seed", 0, "seed of the power cuts; 0 takes another each time")
)

const folder = "/var/state/bucket"

func TestFileOnFaultdisk(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return openOn(t, faultdisk.New(1)) })
}

func openOn(t testing.TB, d *faultdisk.Disk) *bucket.File {
	t.Helper()
	b, err := bucket.NewFileOn(d, folder)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// known is what an object may be: what was acknowledged, or one of those that
// came later and may have been written. "" is no object.
type known struct {
	content []string
	etag    string // of the newest acknowledged; "" when that is not known
}

func (k *known) may(content string) { k.content = append(k.content, content) }
func (k *known) is(content, etag string) {
	k.content, k.etag = []string{content}, etag
}

// history is a random history of puts and deletes on a disk that loses its
// power, and on which processes die.
type history struct {
	t       *testing.T
	rnd     *rand.Rand
	disk    *faultdisk.Disk
	bucket  *bucket.File
	objects map[string]*known
	n       int
	run     *soak.Run
	why     []string // what was done, for the message
}

var objectNames = []string{"a", "b/c", "b/d", "e/f/g"}

// step is one put or delete; it may be the last before the power goes.
func (h *history) step(ctx context.Context) {
	name := objectNames[h.rnd.IntN(len(objectNames))]
	o := h.objects[name]
	h.n++
	content := fmt.Sprintf("object %d %s", h.n, strings.Repeat("x", h.rnd.IntN(3000)))
	when, what := bucket.Condition{}, "put"
	switch h.rnd.IntN(5) {
	case 0:
		err := h.bucket.Delete(ctx, name)
		h.say("delete %s: %v", name, err)
		if err == nil {
			o.is("", "")
		} else {
			o.may("")
		}
		return
	case 1, 2:
		when.Absent, what = true, "create"
	case 3:
		if o.etag != "" {
			when.Match, what = o.etag, "swap"
		}
	}
	etag, err := h.bucket.Put(ctx, name, strings.NewReader(content), when)
	h.say("%s %s %.9q: %v", what, name, content, err)
	switch {
	case err == nil:
		if when.Absent && !slices.Contains(o.content, "") {
			h.fail("created %s, which was there", name)
		}
		o.is(content, etag)
	case errors.Is(err, bucket.ErrCondition) && when.Absent:
		// What the loser was told of must stay.
		if o.content = slices.DeleteFunc(o.content, func(c string) bool { return c == "" }); len(o.content) == 0 {
			h.fail("%s is not there and could not be created", name)
		}
	case errors.Is(err, bucket.ErrCondition):
		if len(o.content) == 1 {
			h.fail("%s has the ETag %s and could not be swapped", name, o.etag)
		}
	default:
		if !fault.KindOf(err).Retryable() {
			h.fail("put %s: %v (%s)", name, err, fault.KindOf(err))
		}
		o.may(content)
	}
}

func (h *history) get(name string) (content, etag string) {
	body, info, err := h.bucket.Get(h.t.Context(), name)
	if errors.Is(err, bucket.ErrNotFound) {
		return "", ""
	}
	if err != nil {
		h.fail("get %s: %v", name, err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		h.fail("read %s: %v", name, err)
	}
	return string(data), info.ETag
}

// reopen is another process; check is what it finds, which stays from now on.
func (h *history) reopen(d *faultdisk.Disk) {
	h.disk = d
	h.bucket = openOn(h.t, d)
	listed := map[string]int64{}
	for info, err := range h.bucket.List(h.t.Context(), "", "") {
		if err != nil {
			h.fail("list: %v", err)
		}
		listed[info.Name] = info.Size
	}
	for _, name := range objectNames {
		o := h.objects[name]
		got, etag := h.get(name)
		if !slices.Contains(o.content, got) {
			h.run.Add(soak.Lost, 1)
			h.fail("%s is %.9q, want one of %.9q", name, got, o.content)
		}
		if size, there := listed[name]; there != (got != "") || there && size != int64(len(got)) {
			h.fail("%s: listed %v with %d bytes, read %d", name, there, size, len(got))
		}
		if len(o.content) > 1 && got == o.content[len(o.content)-1] {
			h.run.Sometimes("an unacknowledged put that is there")
		}
		o.is(got, etag)
		h.run.Add("objects", 1)
	}
}

func (h *history) say(format string, args ...any) {
	h.why = append(h.why, fmt.Sprintf(format, args...))
}

func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("%s, after\n%s", fmt.Sprintf(format, args...), strings.Join(h.why, "\n"))
}

// Power goes at every call of random histories, and processes die between.
func TestFilePowerCut(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	run := soak.Open(t, "powercut-bucket", first)
	for s, done := first, 0; done < *cuts; s++ {
		for call := 0; ; call++ {
			h := &history{t: t, rnd: rand.New(rand.NewPCG(s, 7)), disk: faultdisk.New(s<<16 + uint64(call)), objects: map[string]*known{}, run: run}
			h.say("seed %d, call %d", s, call)
			for _, name := range objectNames {
				h.objects[name] = &known{content: []string{""}}
			}
			h.reopen(h.disk)
			h.disk.PowerOff(call)
			cut := false
			for range 6 {
				h.step(t.Context())
				select {
				case <-h.disk.Off():
					cut = true
				default:
				}
			}
			for range 2 {
				if h.rnd.IntN(3) == 0 {
					h.say("killed")
					h.reopen(h.disk.Kill())
					run.Sometimes("a process killed before the power goes")
				}
				d, losses := h.disk.Cut()
				for _, l := range losses {
					h.say("lost: %s %s", l.What, l.Path)
					switch {
					case l.What == faultdisk.Torn && strings.Contains(l.Path, "/@temp/"):
						run.Sometimes("a torn file in the bucket's temp")
					case l.What == faultdisk.Undone && !strings.Contains(l.Path, "/@temp/"):
						run.Sometimes("a rename undone")
					}
				}
				run.Add("cuts", 1)
				done++
				h.reopen(d)
				for range 2 {
					h.step(t.Context())
				}
			}
			if !cut {
				break // the history has no such call any more
			}
		}
	}
}

// Racers swap and create while the power goes: what was acknowledged is there,
// once.
func TestFileRacersAndPowerCut(t *testing.T) {
	t.Parallel()
	s := rand.Uint64()
	t.Logf("seed %d", s)
	rnd := rand.New(rand.NewPCG(s, 8))
	for round := range 100 {
		d := faultdisk.New(rnd.Uint64())
		one := openOn(t, d)
		if _, err := one.Put(t.Context(), "counter", strings.NewReader("0"), bucket.Condition{}); err != nil {
			t.Fatal(err)
		}
		var acked, tried atomic.Int64
		var mu sync.Mutex
		winners := map[string]string{}
		d.PowerOff(rnd.IntN(400))
		var wg sync.WaitGroup
		for racer, b := range []*bucket.File{one, openOn2(t, d), one} {
			if b == nil {
				continue // the power went at once
			}
			wg.Go(func() {
				for i := range 12 {
					body, info, err := b.Get(t.Context(), "counter")
					if err != nil {
						return
					}
					data, err := io.ReadAll(body)
					body.Close()
					n, e := strconv.Atoi(string(data))
					if err != nil || e != nil {
						return
					}
					tried.Add(1)
					_, err = b.Put(t.Context(), "counter", strings.NewReader(strconv.Itoa(n+1)), bucket.Condition{Match: info.ETag})
					switch {
					case err == nil:
						acked.Add(1)
					case errors.Is(err, bucket.ErrCondition):
						tried.Add(-1)
					}
					name, mine := fmt.Sprintf("race/%d", i), fmt.Sprintf("racer %d", racer)
					if _, err := b.Put(t.Context(), name, bytes.NewReader([]byte(mine)), bucket.Condition{Absent: true}); err == nil {
						mu.Lock()
						if other := winners[name]; other != "" {
							t.Errorf("round %d: %s has two winners, %s and %s", round, name, other, mine)
						}
						winners[name] = mine
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		d, _ = d.Cut()
		h := &history{t: t, bucket: openOn(t, d)}
		got, _ := h.get("counter")
		if n, err := strconv.ParseInt(got, 10, 64); err != nil || n < acked.Load() || n > tried.Load() {
			t.Errorf("round %d: the counter is %q after %d acknowledged increments of %d", round, got, acked.Load(), tried.Load())
		}
		for name, want := range winners {
			if got, _ := h.get(name); got != want {
				t.Errorf("round %d: %s is %q, acknowledged was %q", round, name, got, want)
			}
		}
	}
}

// openOn2 is another process, unless the power is gone.
func openOn2(t *testing.T, d *faultdisk.Disk) *bucket.File {
	b, err := bucket.NewFileOn(d, folder)
	select {
	case <-d.Off():
		return nil
	default:
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A folder cannot be synced: the object that was created in it is not shown,
// and nothing is acknowledged any more until the next start.
func TestFileAfterAFailedSync(t *testing.T) {
	t.Parallel()
	there := 0
	for seed := range uint64(100) {
		d := faultdisk.New(seed)
		b := openOn(t, d)
		if _, err := b.Put(t.Context(), "x/old", strings.NewReader("old"), bucket.Condition{}); err != nil {
			t.Fatal(err)
		}
		d.Set(faultdisk.Nth(0, faultdisk.EIO, faultdisk.SyncDir))
		for range 3 { // the last two find it there
			_, err := b.Put(t.Context(), "x/new", strings.NewReader("new"), bucket.Condition{Absent: true})
			if !fault.Is(err, fault.Transient) {
				t.Fatalf("seed %d: put: %v (%s)", seed, err, fault.KindOf(err))
			}
			if _, err := b.Stat(t.Context(), "x/new"); !errors.Is(err, bucket.ErrNotFound) {
				t.Fatalf("seed %d: stat: %v", seed, err)
			}
			for info, err := range b.List(t.Context(), "", "") {
				if err != nil || info.Name != "x/old" {
					t.Fatalf("seed %d: listed %s, %v", seed, info.Name, err)
				}
			}
		}
		if err := b.Delete(t.Context(), "x/old"); !fault.Is(err, fault.Transient) {
			t.Fatalf("seed %d: delete: %v", seed, err)
		}
		d, _ = d.Cut()
		h := &history{t: t, bucket: openOn(t, d)}
		if got, _ := h.get("x/old"); got != "old" {
			t.Fatalf("seed %d: what was acknowledged is %q", seed, got)
		}
		if got, _ := h.get("x/new"); got == "new" {
			there++
		} else if got != "" {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
	if there == 0 || there == 100 {
		t.Errorf("the unsure object is there %d times of 100", there)
	}
}

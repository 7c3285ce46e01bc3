package server

import (
	"context"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
)

// age makes everything in the object store older.
func (w *whole) age(by time.Duration) {
	w.Helper()
	then := time.Now().Add(-by)
	err := filepath.WalkDir(filepath.Join(w.config.Dir, "bucket"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		w.Fatal(err)
	}
}

// TestRawEventsExpireUnderAServer: answers, ledger and duplicates stay right
// when raw events are forgotten; what would need them says so.
func TestRawEventsExpireUnderAServer(t *testing.T) {
	t.Parallel()
	w := startWhole(t)
	files := maps.Clone(smallFiles)
	files["pipeline.yaml"] += "batch: {retention: {raw: 10d}}\n"
	w.put(files)
	rnd := rand.New(rand.NewPCG(3, 4))
	send := func() { (&small{T: t, pipeline: w.small()}).send(rnd, 10, 200) }
	balanced := func(when string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		l, err := w.small().ledger(ctx)
		if err != nil || !l.Balanced || l.Received == 0 {
			t.Fatalf("%s: %+v %v", when, l, err)
		}
		parts, err := w.small().bisect(ctx)
		for _, p := range parts {
			if !p.Equal {
				t.Errorf("%s: %+v", when, p)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	send()
	w.night()
	send()
	w.night()
	before, _ := w.items()
	balanced("before")
	w.age(20 * 24 * time.Hour)
	e, err := w.small().runner.Expire(t.Context(), false, "test", "ana")
	if err != nil || e.Version != 3 || e.Objects < 2 {
		t.Fatalf("%+v %v", e, err)
	}
	if after, _ := w.items(); after != before {
		t.Errorf("it said\n%sand says\n%s", before, after)
	}
	balanced("after")
	send()
	balanced("with more")
	w.night()
	balanced("counted")
	var v api.Verification
	err = w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/small/verify", struct{}{}, &v)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "have expired") {
		t.Errorf("verify: %+v %v", v, err)
	}
	var run api.Run
	err = w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/small/expiries", api.StartExpire{}, &run)
	if !fault.KindOf(err).Retryable() { // there is no Temporal
		t.Error(err)
	}
	b, err := w.rebuildSpeed(t.Context(), "small")
	if err != nil || !b.Equal || b.Events == 0 || !strings.Contains(b.Checked, "the ledger was") {
		t.Errorf("rebuild: %+v %v", b, err)
	}
	// A process that begins now knows as much.
	w.outdate()
	balanced("opened anew")
}

// outdate has the pipeline opened anew.
func (w *whole) outdate() {
	w.Helper()
	w.small().outdated.Store(true)
	if err := w.refresh(w.Context()); err != nil {
		w.Fatal(err)
	}
}

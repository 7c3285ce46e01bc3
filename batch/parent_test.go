package batch_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/fault"
)

// TestAnotherParentIsRefused: the version a run was planned from is replaced by
// one of another history, as when a backup is put back. What the run would add
// to it is not what that one lacks.
func TestAnotherParentIsRefused(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	var worlds [2]*world
	for i := range worlds {
		worlds[i] = newWorld(t, 1)
		worlds[i].history(t, rnd, 4, 100, 10, 3)
		mustRun(t, worlds[i].runner(t, worlds[i].bucket), nightly("night", worlds[i].begin(t)))
	}
	w, other := worlds[0], worlds[1]
	w.history(t, rnd, 2, 100, 10, 3)
	plan, err := w.runner(t, w.bucket).Plan(t.Context(), nightly("second", w.begin(t)))
	if err != nil {
		t.Fatal(err)
	}
	name := w.open(w.bucket).ManifestName(1)
	in, _, err := other.bucket.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.bucket.Put(t.Context(), name, bytes.NewReader(text), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.runner(t, w.bucket).Compact(t.Context(), plan, 0); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "manifest 1") {
		t.Errorf("a step after another manifest 1: %v", err)
	}
}

// TestPublishedAndForgotten: a run that has published, whose notes are
// collected, and that is asked to go on says that it has published, and not
// that somebody else has.
func TestPublishedAndForgotten(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 1)
	w.history(t, rnd, 4, 100, 10, 3)
	r := w.runner(t, w.bucket)
	q := nightly("night", w.begin(t))
	plan, err := r.Plan(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, r, q)
	notes := 0
	for o, err := range w.bucket.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Name, "/night/") {
			notes++
			if err := w.bucket.Delete(t.Context(), o.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if notes == 0 {
		t.Fatal("the run has left no notes")
	}
	if _, err := w.runner(t, w.bucket).Publish(t.Context(), plan); !errors.Is(err, batch.ErrDone) || !strings.Contains(err.Error(), "run night has published version 1") {
		t.Errorf("publish again: %v", err)
	}
	w.history(t, rnd, 2, 100, 10, 3)
	mustRun(t, r, nightly("other", w.begin(t)))
	overtaken := plan
	overtaken.Run = "never"
	if _, err := w.runner(t, w.bucket).Publish(t.Context(), overtaken); !fault.Is(err, fault.Conflict) || errors.Is(err, batch.ErrDone) {
		t.Errorf("publish what others have overtaken: %v", err)
	}
}

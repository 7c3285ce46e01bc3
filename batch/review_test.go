package batch_test

import (
	"slices"
	"strings"
	"testing"

	"anabranch/batch"
	"anabranch/fault"
	"anabranch/schemas"
)

func policy(p schemas.Publish) func(*batch.Options) {
	return func(o *batch.Options) { o.Publishes = p }
}

// TestPolicyAsks: a changed definition, backfilled, under each policy; and one
// that changes nothing.
func TestPolicyAsks(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))
	within := func(bound float64) schemas.Publish {
		return schemas.Publish{Mode: schemas.PublishWithin, Bound: bound}
	}
	for _, c := range []struct {
		policy       schemas.Publish
		text         string
		same, differ string // what it asks; empty: nothing
	}{
		{schemas.Publish{}, "auto", "", ""},
		{within(0), "within 0%", "", "view items: "},
		{within(0.005), "within 0.5%", "", "view items: "},
		{within(1), "within 100%", "", ""},
		{schemas.Publish{Mode: schemas.PublishApproval}, "approval", "the pipeline wants", "the pipeline wants"},
	} {
		for name, want := range map[string]string{"same": c.same, "differ": c.differ} {
			options := []func(*batch.Options){policy(c.policy)}
			if name == "differ" {
				options = append(options, w.changed(t))
			}
			r := w.runner(t, w.bucket, options...)
			plan := planned(t, r, backfill(name+"-"+strings.NewReplacer(" ", "", "%", "", ".", "").Replace(c.text)))
			review, err := r.Review(t.Context(), plan)
			if err != nil {
				t.Fatal(err)
			}
			if review.Policy != c.text || review.Equal != (name == "same") || review.Old != 1 || len(review.Digest) != 32 || review.Markdown == "" {
				t.Errorf("%s, %s: %+v", c.text, name, review)
			}
			if (review.Ask == "") != (want == "") || !strings.HasPrefix(review.Ask, want) {
				t.Errorf("%s, %s: asks %q, want %q", c.text, name, review.Ask, want)
			}
		}
	}
}

// TestDigestOutlivesANightly: the differences that a backfill makes are the
// same on top of another base that does not touch its days.
func TestDigestOutlivesANightly(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))
	r := w.runner(t, w.bucket)
	q := backfill("two")
	first, err := r.Review(t.Context(), planned(t, r, q))
	if err != nil {
		t.Fatal(err)
	}
	w.history(t, rnd, 5, 90, 200, 70)
	mustRun(t, r, nightly("three", w.begin(t)))
	q.Attempt = 1
	second, err := r.Review(t.Context(), planned(t, r, q))
	if err != nil || second.Old != 2 || second.Digest != first.Digest {
		t.Errorf("%+v, %v, was %+v", second, err, first)
	}
	changed := w.runner(t, w.bucket, w.changed(t))
	q.Attempt = 2
	if third, err := changed.Review(t.Context(), planned(t, changed, q)); err != nil || third.Digest == first.Digest {
		t.Errorf("other differences have the same digest: %+v, %v", third, err)
	}
}

// TestApprovedBackfillTakesOverAlsoBehindANightly: the nightly made the new
// version first, and held it; the approval was for having it answer.
func TestApprovedBackfillTakesOverAlsoBehindANightly(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))
	r := w.runner(t, w.bucket, w.changed(t), policy(schemas.Publish{Mode: schemas.PublishApproval}))
	q := backfill("two")
	first := planned(t, r, q)
	if !slices.Equal(first.Takes, []string{"items"}) || len(first.Held) != 0 {
		t.Fatalf("%+v", first)
	}
	mustRun(t, r, nightly("three", w.begin(t)))
	w.answers(t, w.newest(t), "items")
	if _, err := r.Publish(t.Context(), first); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	q.Attempt = 1
	if held := planned(t, r, q); !slices.Equal(held.Held, []string{"items"}) || len(held.Takes) != 0 {
		t.Fatalf("%+v", held)
	}
	q.Attempt, q.Takes = 2, first.Takes
	second := planned(t, r, q)
	if _, err := r.Publish(t.Context(), second); err != nil || !slices.Equal(second.Takes, first.Takes) || len(second.Held) != 0 {
		t.Fatalf("%+v %v", second, err)
	}
	w.answers(t, w.newest(t), "other")
}

// TestNightlyHoldsAChangedViewUnderAPolicy: it must neither wait nor change
// numbers that nobody has looked at.
func TestNightlyHoldsAChangedViewUnderAPolicy(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 20, 50, 200, 70)
	mustRun(t, w.runner(t, w.bucket), nightly("one", w.begin(t)))
	w.history(t, rnd, 5, 70, 200, 70)
	r := w.runner(t, w.bucket, w.changed(t), policy(schemas.Publish{Mode: schemas.PublishApproval}))
	mustRun(t, r, nightly("two", w.begin(t)))
	w.answers(t, w.newest(t), "items")
	if _, err := r.Serve(t.Context(), "items", w.other.Version(), "better", "me"); err != nil {
		t.Fatal(err)
	}
	w.answers(t, w.newest(t), "other")
}

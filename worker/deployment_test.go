package worker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"anabranch/activities/activitiestest"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/workflows"
)

// TestANewBuildTakesItsShare: runs end on the build they began on, a build that
// is ramped up gets some of the new ones, one that is promoted all of them.
func TestANewBuildTakesItsShare(t *testing.T) {
	t.Parallel()
	held, free := make(chan struct{}), make(chan struct{})
	old := &activitiestest.World{Before: func(ctx context.Context, step string, unit int) error {
		if step == "fold" && unit == 0 {
			select {
			case <-held: // the others are not held up
			default:
				close(held)
				select {
				case <-free:
				case <-ctx.Done():
				}
			}
		}
		return nil
	}}
	b, fresh := setup(t, old), &activitiestest.World{}
	const fleet = "anabranch-test"
	start := func(build string, w *activitiestest.World) {
		t.Helper()
		wk := New(Options{Client: b.client, TaskQueue: b.queue, Parallel: 4, Drain: time.Minute, Deployment: fleet, Build: build,
			Activities: activitiestest.Activities(map[string]*activitiestest.World{"retail": w})})
		if err := wk.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(wk.Stop)
	}
	soon := func(what string, do func() error) {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); ; <-time.After(50 * time.Millisecond) {
			err := do()
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	state := func(build, want string) func() error {
		return func() error {
			d, err := Deployments(t.Context(), b.client, fleet)
			for _, v := range d.Builds {
				if v.ID == build && v.State == want {
					return nil
				}
			}
			return fmt.Errorf("build %s is not %s: %+v, %w", build, want, d, err)
		}
	}
	run := func(key string) workflows.Started {
		t.Helper()
		s, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", Key: key}, time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	await := func(s workflows.Started) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if _, err := workflows.Await(ctx, b.client, s, time.Second, clock.Wall, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Deployments(t.Context(), b.client, "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a deployment without workers: %v", err)
	}
	start("one", old)
	soon("promote one", func() error { return Promote(t.Context(), b.client, fleet, "one") })
	soon("one is current", state("one", "current"))
	first := run("first")
	<-held
	start("two", fresh)
	soon("ramp two", func() error { return Ramp(t.Context(), b.client, fleet, "two", 50) })
	soon("two is ramped up", state("two", "ramping"))
	const runs = 16
	for i := range runs { // one after the other: of two at once one would plan again
		await(run(fmt.Sprint("some", i)))
	}
	was, is := old.Count("plan")-1, fresh.Count("plan")
	t.Logf("of %d runs %d on the old build, %d on the new", runs, was, is)
	if was+is != runs || was == 0 || is == 0 {
		t.Errorf("of %d runs %d on the old build, %d on the new", runs, was, is)
	}
	tried := false
	soon("take two back", func() error {
		err := Rollback(t.Context(), b.client, fleet)
		if tried && fault.Is(err, fault.Conflict) { // the server did it, and did not say so in time
			return nil
		}
		tried = true
		return err
	})
	if err := Rollback(t.Context(), b.client, fleet); !fault.Is(err, fault.Conflict) {
		t.Errorf("taken back twice: %v", err)
	}
	soon("all go to one", func() error {
		before := fresh.Count("plan")
		await(run(fmt.Sprint("back", time.Now().UnixNano())))
		if fresh.Count("plan") != before {
			return fmt.Errorf("the new build still gets runs")
		}
		return nil
	})
	soon("promote two", func() error { return Promote(t.Context(), b.client, fleet, "two") })
	soon("two is current", state("two", "current"))
	soon("all go to two", func() error {
		before := old.Count("plan")
		await(run(fmt.Sprint("on", time.Now().UnixNano())))
		if old.Count("plan") != before {
			return fmt.Errorf("the old build still gets runs")
		}
		return nil
	})
	folds := fresh.Count("fold")
	close(free)
	await(first)
	if fresh.Count("fold") != folds {
		t.Error("a run that had begun went over to the new build")
	}
	if err := Ramp(t.Context(), b.client, fleet, "two", 0); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

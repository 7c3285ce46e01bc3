package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"anabranch/batch"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// fake answers the calls a test cares about; the others are a nil call.
type fake struct {
	Runner
	next   func(context.Context) (uint64, error)
	sealed func(context.Context, uint64) (event.Cut, bool, error)
	fold   func(context.Context, batch.PlanRef, int) (batch.Ref, error)
}

func (f fake) BarrierOf(ctx context.Context, _ string) (uint64, error) { return f.next(ctx) }
func (f fake) Sealed(ctx context.Context, k uint64) (event.Cut, bool, error) {
	return f.sealed(ctx, k)
}
func (f fake) Fold(ctx context.Context, p batch.PlanRef, unit int) (batch.Ref, error) {
	return f.fold(ctx, p, unit)
}

func setup(t *testing.T, f fake) (*testsuite.TestActivityEnvironment, *Activities) {
	t.Helper()
	a := &Activities{}
	a.Runners, a.Names = ByName(map[string]Runner{"retail": f, "clicks": f})
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(a)
	return env, a
}

func TestKindDecidesWhatTemporalDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  fault.Kind
		again bool
		delay time.Duration
	}{
		{fault.Unknown, true, 0}, {fault.Transient, true, 0}, {fault.Throttled, true, throttledDelay}, {fault.Full, true, fullDelay},
		{fault.Poison, false, 0}, {fault.Conflict, false, 0}, {fault.Corrupt, false, 0}, {fault.Denied, false, 0},
		{fault.Invalid, false, 0}, {fault.NotFound, false, 0}, {fault.Bug, false, 0},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			t.Parallel()
			env, a := setup(t, fake{fold: func(context.Context, batch.PlanRef, int) (batch.Ref, error) {
				err := fault.WithHint(fault.WithCode(fault.New(c.kind, "read day 2011-03-01"), "some_code"), "look there")
				return batch.Ref{}, errors.Join(err) // wrapped, as by a caller
			}})
			_, err := env.ExecuteActivity(a.Fold, Unit{Pipeline: "retail"})
			var app *temporal.ApplicationError
			if !errors.As(err, &app) {
				t.Fatalf("%T %v", err, err)
			}
			if app.NonRetryable() == c.again || app.NextRetryDelay() != c.delay || app.Type() != c.kind.String() {
				t.Errorf("non-retryable %v, delay %v, type %q", app.NonRetryable(), app.NextRetryDelay(), app.Type())
			}
			back := FromTemporal(err)
			if fault.KindOf(back) != c.kind || fault.CodeOf(back) != "some_code" || back.Error() != "read day 2011-03-01: look there" {
				t.Errorf("back: %v %q %q", fault.KindOf(back), fault.CodeOf(back), back)
			}
			said := Rephrase(err, func(s string, k fault.Kind) string { return "Nightly: " + s })
			if fault.KindOf(FromTemporal(said)) != c.kind || fault.CodeOf(FromTemporal(said)) != "some_code" || IsConflict(said) != (c.kind == fault.Conflict) {
				t.Errorf("rephrased: %v", said)
			}
		})
	}
	if ToTemporal(t.Context(), nil) != nil || FromTemporal(nil) != nil || Rephrase(io.EOF, nil) != io.EOF || FromTemporal(io.EOF) != io.EOF {
		t.Error("nil and foreign errors pass")
	}
}

func TestPanicIsABug(t *testing.T) {
	t.Parallel()
	env, a := setup(t, fake{fold: func(context.Context, batch.PlanRef, int) (batch.Ref, error) { panic("index out of range") }})
	_, err := env.ExecuteActivity(a.Fold, Unit{Pipeline: "retail"})
	if got := FromTemporal(err); !fault.Is(got, fault.Bug) || got.Error() != "panic: index out of range" {
		t.Fatal(err)
	}
}

func TestUnknownPipelineNamesThoseThereAre(t *testing.T) {
	t.Parallel()
	env, a := setup(t, fake{})
	_, err := env.ExecuteActivity(a.Plan, Request{Pipeline: "retial"})
	if got := FromTemporal(err); !fault.Is(got, fault.Invalid) || !strings.Contains(got.Error(), `no pipeline "retial": there are clicks, retail`) {
		t.Fatal(err)
	}
}

func TestRequestInBatchsWords(t *testing.T) {
	t.Parallel()
	q, err := Request{Pipeline: "retail", Kind: batch.Backfill, View: "v", From: "1970-01-02", To: "2011-03-01", Reason: "r", By: "b", RunID: "id", Attempt: 2}.batch()
	if err != nil || *q.From != 1 || *q.To != 15034 || q.Kind != batch.Backfill || q.View != "v" || q.Reason != "r" || q.By != "b" || q.RunID != "id" || q.Attempt != 2 {
		t.Fatalf("%+v %v", q, err)
	}
	if q, err := (Request{K: 7}).batch(); err != nil || q.From != nil || q.To != nil || q.K != 7 {
		t.Fatalf("%+v %v", q, err)
	}
	if _, err := (Request{To: "2011-02-30"}).batch(); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

func TestAwaitSealedPolls(t *testing.T) {
	t.Parallel()
	asked, clk := make(chan int), clock.NewManual(time.Unix(0, 0))
	n := 0
	env, a := setup(t, fake{sealed: func(_ context.Context, k uint64) (event.Cut, bool, error) {
		if k != 7 {
			t.Errorf("barrier %d", k)
		}
		n++
		asked <- n
		return event.Cut{5, 6}, n == 3, nil
	}})
	a.Clock, a.Poll = clk, time.Second
	stop := make(chan struct{})
	go func() {
		for range 3 {
			<-asked
		}
		close(stop)
	}()
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				clk.Advance(time.Second)
			}
		}
	}()
	v, err := env.ExecuteActivity(a.AwaitSealed, AtBarrier{Pipeline: "retail", K: 7})
	if err != nil {
		t.Fatal(err)
	}
	var got Sealed
	if err := v.Get(&got); err != nil || !got.Cut.AtLeast(event.Cut{5, 6}) {
		t.Fatal(got, err)
	}
}

func TestHeartBeatsWhileAStepWorks(t *testing.T) {
	t.Parallel()
	beats, clk := make(chan struct{}), clock.NewManual(time.Unix(0, 0))
	stop := repeat(t.Context(), clk, beatEvery, func() { beats <- struct{}{} })
	<-beats
	for range 3 {
		for heard := false; !heard; {
			clk.Advance(beatEvery)
			select {
			case <-beats:
				heard = true
			default:
			}
		}
	}
	stop()
	env, a := setup(t, fake{fold: func(context.Context, batch.PlanRef, int) (batch.Ref, error) { return batch.Ref{Rows: 5}, nil }})
	heard := make(chan struct{}, 1)
	env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { heard <- struct{}{} })
	if _, err := env.ExecuteActivity(a.Fold, Unit{Pipeline: "retail"}); err != nil {
		t.Fatal(err)
	}
	<-heard
}

func TestCancelledStepEndsAsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	if err := ToTemporal(ctx, fault.Wrap(fault.Transient, context.Canceled)); err == context.Canceled {
		t.Fatal("not cancelled, so it is an ordinary error")
	}
	cancel()
	if err := ToTemporal(ctx, fault.New(fault.Transient, "get object: %w", context.Canceled)); err != context.Canceled {
		t.Fatalf("%T %v", err, err)
	}
	if err := FromTemporal(temporal.NewCanceledError()); !fault.Is(err, fault.Conflict) || fault.CodeOf(err) != "cancelled" {
		t.Fatal(err)
	}
	if !IsAlreadyPublished(ToTemporal(t.Context(), fmt.Errorf("barrier 3: %w", batch.ErrDone))) || IsAlreadyPublished(io.EOF) {
		t.Fatal("already published")
	}
}

package workflows

import (
	"context"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"anabranch/fault"
	"anabranch/internal/clock"
)

// flaky is a server that breaks off a few calls before it says how a run has
// ended.
type flaky struct {
	client.Client
	client.WorkflowRun
	broken []error // one for each call that it breaks off
	end    error
	asked  int
}

func (f *flaky) GetWorkflow(context.Context, string, string) client.WorkflowRun { return f }

func (f *flaky) Get(_ context.Context, out any) error {
	f.asked++
	if len(f.broken) > 0 {
		err := f.broken[0]
		f.broken = f.broken[1:]
		return err
	}
	if f.end == nil {
		out.(*Result).Version = 7
	}
	return f.end
}

// atOnce is a clock by which everything has been waited for.
type atOnce struct{ clock.Clock }

func (atOnce) After(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

func TestAwaitOutlastsAServerThatBreaksOff(t *testing.T) {
	t.Parallel()
	cut := serviceerror.NewCanceled("stream terminated by RST_STREAM")
	run := Started{ID: "backfill/shop/1", RunID: "1"}
	f := &flaky{broken: []error{cut, context.DeadlineExceeded, serviceerror.NewUnavailable("starting"), serviceerror.NewResourceExhausted(0, "busy")}}
	got, err := Await(t.Context(), f, run, time.Second, atOnce{}, nil)
	if err != nil || got.Version != 7 || f.asked != 5 {
		t.Error(got, err, f.asked)
	}
	f = &flaky{broken: []error{cut}, end: &temporal.WorkflowExecutionError{}}
	if _, err := Await(t.Context(), f, run, time.Second, atOnce{}, nil); err == nil || f.asked != 2 {
		t.Errorf("a run that failed: %v, asked %d times", err, f.asked)
	}
	f = &flaky{end: serviceerror.NewNotFound("no such run")}
	if _, err := Await(t.Context(), f, run, time.Second, atOnce{}, nil); !fault.Is(err, fault.NotFound) || f.asked != 1 {
		t.Errorf("a run that is not there: %v, asked %d times", err, f.asked)
	}
	f = &flaky{end: cut}
	if _, err := Await(t.Context(), f, run, time.Second, atOnce{}, nil); !fault.Is(err, fault.Transient) || f.asked != forbearance+1 {
		t.Errorf("a server that stays away: %v, asked %d times", err, f.asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Await(ctx, &flaky{end: cut}, run, time.Second, clock.NewManual(time.Unix(0, 0)), nil); err == nil {
		t.Error("whoever waits has gone")
	}
}

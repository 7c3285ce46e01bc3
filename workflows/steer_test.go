package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/fault"
)

// said is the answer to an instruction.
type said struct {
	t     *testing.T
	state string
	err   error
	done  chan struct{}
}

func (s *said) Accept() {}

func (s *said) Reject(err error) { s.err = err; close(s.done) }

func (s *said) Complete(result any, err error) {
	s.state, _ = result.(string)
	s.err = err
	close(s.done)
}

var updates atomic.Int64

// tell sends an instruction; its answer is there when the workflow's next
// task has ended.
func tell(t *testing.T, env *testsuite.TestWorkflowEnvironment, update string, in Instruction) *said {
	s := &said{t: t, done: make(chan struct{})}
	env.UpdateWorkflow(update, fmt.Sprint(updates.Add(1)), s, in)
	return s
}

var because = Instruction{By: "ana", Reason: "test"}

// refusedWith fails the test unless the instruction was refused so.
func (s *said) refusedWith(kind fault.Kind, want string) {
	s.t.Helper()
	select {
	case <-s.done:
	default:
		s.t.Errorf("no answer, want a refusal with %q", want)
		return
	}
	err := activities.FromTemporal(s.err)
	if s.err == nil || !fault.Is(err, kind) || !strings.Contains(err.Error(), want) {
		s.t.Errorf("answer %q, %v (%v), want %v with %q", s.state, err, fault.KindOf(err), kind, want)
	}
}

// later does something in the workflow's simulated time, in order.
func later(env *testsuite.TestWorkflowEnvironment, do ...func()) {
	for i, f := range do {
		env.RegisterDelayedCallback(f, at(i+1))
	}
}

func TestPauseGivesOutNothingMoreAndResumeGoesOn(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"plan", "spread", "fold", "finish", "verify", "publish"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			var env *testsuite.TestWorkflowEnvironment
			var paused *said
			w := &world{Folds: 6}
			w.Before = func(_ context.Context, s string, _ int) error {
				if s == step && paused == nil {
					paused = tell(t, env, PauseUpdate, because)
				}
				return nil
			}
			env = environment(t, w)
			var before []string
			later(env, func() {
				before = w.Log()
				p := progress(t, env)
				if p.Waits != waitsResume || p.State != "paused" || p.Running != 0 || len(p.Acts) != 1 || p.Acts[0].Do != PauseUpdate || p.Acts[0].By != "ana" {
					t.Errorf("%+v", p)
				}
			}, func() {
				if now := w.Log(); !slices.Equal(now, before) {
					t.Errorf("it went on: %v, then %v", before, now)
				}
				tell(t, env, ResumeUpdate, because)
			})
			env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", Parallel: 1})
			if step == "publish" { // a pause comes too late for it
				if got := result(t, env); got.Version != 1 {
					t.Fatalf("%+v", got)
				}
				return
			}
			if got := result(t, env); got.Version != 1 || got.Units != 8 || len(before) == 0 || len(before) >= len(w.Log()) {
				t.Fatalf("%+v %v %v", got, before, w.Log())
			}
			if step == "fold" && w.Count("fold") != 6 {
				t.Errorf("%v", w.Log())
			}
		})
	}
}

func TestPausedFromTheBegin(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	later(env, func() {
		if n := len(w.Log()); n != 0 {
			t.Errorf("%v", w.Log())
		}
		if p := progress(t, env); p.Waits != waitsResume {
			t.Errorf("%+v", p)
		}
		tell(t, env, ResumeUpdate, because)
	})
	env.RegisterDelayedCallback(func() { tell(t, env, PauseUpdate, because) }, 0)
	env.ExecuteWorkflow(NightlyType, NightlyInput{Pipeline: "retail"})
	if got := result(t, env); got.Version != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestParallelChangesWhileUnitsRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to int }{{1, 5}, {6, 2}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			var env *testsuite.TestWorkflowEnvironment
			var running, most, folded atomic.Int32
			w := &world{Folds: 60}
			var once sync.Once
			turned, all := make(chan struct{}), make(chan struct{})
			w.Before = func(_ context.Context, s string, _ int) error {
				if s != "fold" {
					return nil
				}
				n := running.Add(1)
				defer running.Add(-1)
				if folded.Add(1) == 1 {
					tell(t, env, ParallelUpdate, Instruction{By: "ana", Reason: "test", Parallel: c.to})
					close(turned)
				}
				<-turned
				if folded.Load() <= int32(2*c.from) {
					return nil // units that were given out before
				}
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if n == int32(c.to) {
					once.Do(func() { close(all) })
				}
				<-all // until as many run as may
				return nil
			}
			env = environment(t, w)
			env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", Parallel: c.from})
			if got := result(t, env); got.Units != 62 || most.Load() != int32(c.to) {
				t.Fatalf("%+v, %d at once, want %d", got, most.Load(), c.to)
			}
			if p := progress(t, env); p.Parallel != c.to {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestFailedUnitsWaitForARetryAndOnlyTheyAreDoneAgain(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	var tries atomic.Int32
	w := &world{Folds: 8}
	w.Before = func(_ context.Context, s string, unit int) error {
		if s == "fold" && (unit == 2 || unit == 5) && !mended.Load() {
			tries.Add(1)
			if unit == 5 {
				return fault.New(fault.Transient, "the bucket is away")
			}
			return fault.New(fault.Corrupt, "day file 2 has another checksum")
		}
		return nil
	}
	env := environment(t, w)
	var early *said
	env.RegisterDelayedCallback(func() { early = tell(t, env, RetryUpdate, because) }, 0)
	later(env, func() {
		p := progress(t, env)
		if p.Waits != waitsRetry || len(p.Failed) != 2 || p.Done != 6 || p.Phase != phaseFold || !strings.Contains(p.State, "2 failed") {
			t.Errorf("%+v", p)
		}
		slices.SortFunc(p.Failed, func(a, b Failed) int { return a.Unit - b.Unit })
		if f := p.Failed[0]; f.Unit != 2 || f.Kind != "corrupt" || f.Error != "day file 2 has another checksum" || !strings.HasPrefix(f.Label, "2011-03-03 to") {
			t.Errorf("%+v", f)
		}
		if f := p.Failed[1]; f.Unit != 5 || f.Kind != "transient" {
			t.Errorf("%+v", f)
		}
		if tries.Load() != 31 {
			t.Errorf("%d tries of the two", tries.Load())
		}
		tell(t, env, RetryUpdate, because) // in vain
	}, func() {
		if p := progress(t, env); p.Waits != waitsRetry || len(p.Failed) != 2 {
			t.Errorf("%+v", p)
		}
		mended.Store(true)
		tell(t, env, RetryUpdate, because)
	})
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", Parallel: 3})
	got := result(t, env)
	if got.Version != 1 || got.Units != 10 || got.Attempts != 1 {
		t.Fatalf("%+v", got)
	}
	early.refusedWith(fault.Conflict, "nothing of this run has failed")
	log := w.Log()
	slices.Sort(log)
	if n := len(slices.Compact(log)); n != len(w.Log()) {
		t.Errorf("something was done twice: %v", w.Log())
	}
	if p := progress(t, env); len(p.Failed) != 0 || p.Waits != "" {
		t.Errorf("%+v", p)
	}
}

func TestFailedStepWaitsForARetryToo(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"spread", "gather", "finish", "verify", "publish"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			var failed atomic.Int32
			w := &world{Before: func(_ context.Context, s string, unit int) error {
				if s == step && unit <= 0 && failed.Add(1) == 1 {
					return fault.New(fault.Bug, "index out of range")
				}
				return nil
			}}
			env := environment(t, w)
			later(env, func() {
				if p := progress(t, env); p.Waits != waitsRetry || len(p.Failed) != 1 || p.Phase != step || p.Failed[0].Error != "index out of range" {
					t.Errorf("%+v", p)
				}
				tell(t, env, RetryUpdate, because)
			})
			env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
			if got := result(t, env); got.Version != 1 || got.Units != 5 || w.Count("plan") != 1 || w.Count("fold") != 3 {
				t.Fatalf("%+v %v", got, w.Log())
			}
		})
	}
}

func TestEverythingFailingStopsEarly(t *testing.T) {
	t.Parallel()
	w := &world{Folds: 500, Before: func(_ context.Context, s string, _ int) error {
		if s == "fold" {
			return fault.New(fault.Denied, "the key has expired")
		}
		return nil
	}}
	env := environment(t, w)
	later(env, func() {
		if p := progress(t, env); p.Waits != waitsRetry || len(p.Failed) < manyFailed || len(p.Failed) > manyFailed+defaultParallel {
			t.Errorf("%d failed, %+v", len(p.Failed), p.State)
		}
		tell(t, env, CancelUpdate, because)
	})
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	if !temporal.IsCanceledError(env.GetWorkflowError()) {
		t.Fatal(env.GetWorkflowError())
	}
}

func TestRunThatIsToFailFails(t *testing.T) {
	t.Parallel()
	for _, input := range []any{NightlyInput{Pipeline: "retail"}, BackfillInput{Pipeline: "retail", OnFailure: OnFailureFail}} {
		w := &world{Before: func(_ context.Context, s string, unit int) error {
			if s == "fold" && unit == 1 {
				return fault.New(fault.Corrupt, "another checksum")
			}
			return nil
		}}
		env := environment(t, w)
		kind := BackfillType
		if _, ok := input.(NightlyInput); ok {
			kind = NightlyType
		}
		env.ExecuteWorkflow(kind, input)
		if err := activities.FromTemporal(env.GetWorkflowError()); !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
	}
}

func TestCancelByInstruction(t *testing.T) {
	t.Parallel()
	for _, update := range []bool{true, false} {
		for _, at := range []string{"paused", "failed", "fold", "verify"} {
			t.Run(fmt.Sprint(at, " by update: ", update), func(t *testing.T) {
				t.Parallel()
				var env *testsuite.TestWorkflowEnvironment
				var answer *said
				cancel := func() {
					if !update {
						env.CancelWorkflow()
						return
					}
					answer = tell(t, env, CancelUpdate, Instruction{By: "ben", Reason: "wrong days"})
				}
				var begun atomic.Int32
				w := &world{}
				w.Before = func(ctx context.Context, s string, unit int) error {
					switch {
					case s != at && (s != "fold" || at == "verify"):
						return nil
					case at == "paused":
						if unit == 0 {
							tell(t, env, PauseUpdate, because)
						}
						return nil
					case at == "failed":
						return fault.New(fault.Corrupt, "another checksum")
					}
					if begun.Add(1) == 1 {
						cancel()
					}
					<-ctx.Done()
					return fault.Wrap(fault.Transient, fmt.Errorf("put: %w", ctx.Err()))
				}
				env = environment(t, w)
				if at == "paused" || at == "failed" {
					later(env, func() {
						if p := progress(t, env); p.Waits == "" {
							t.Errorf("%+v", p)
						}
						cancel()
					})
				}
				env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", Parallel: 2})
				if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
					t.Fatal(err)
				}
				if v, _ := w.Version(); v != 0 || w.Count("publish") != 0 {
					t.Error("published all the same")
				}
				p := progress(t, env)
				if p.Phase != phaseCancelled || p.Note != "nothing was published" || p.Waits != "" {
					t.Errorf("%+v", p)
				}
				if update {
					if !strings.HasPrefix(answer.state, "being cancelled") {
						t.Errorf("answer %q %v", answer.state, answer.err)
					}
					if last := p.Acts[len(p.Acts)-1]; last.String() != "cancel by ben: wrong days" {
						t.Errorf("%v", p.Acts)
					}
				}
			})
		}
	}
}

// TestCancelWhilePublishing: a cancel that comes so late comes too late, and
// the run says what is true.
func TestCancelWhilePublishing(t *testing.T) {
	t.Parallel()
	var env *testsuite.TestWorkflowEnvironment
	w := &world{}
	w.Before = func(ctx context.Context, s string, _ int) error {
		if s == "publish" {
			tell(t, env, CancelUpdate, because)
			env.CancelWorkflow()
			return ctx.Err()
		}
		return nil
	}
	env = environment(t, w)
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	if got := result(t, env); got.Version != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestInstructionsThatAreRefused(t *testing.T) {
	t.Parallel()
	env := environment(t, &world{})
	answers := map[string]*said{}
	env.RegisterDelayedCallback(func() {
		answers["who says so"] = tell(t, env, PauseUpdate, Instruction{Reason: "r"})
		answers["why? give JSON like"] = tell(t, env, PauseUpdate, Instruction{By: "ana"})
		answers["parallel 0: want 1 to 500"] = tell(t, env, ParallelUpdate, because)
		answers["parallel 501: want 1 to 500"] = tell(t, env, ParallelUpdate, Instruction{By: "ana", Reason: "r", Parallel: 501})
	}, 0)
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	if got := result(t, env); got.Version != 1 {
		t.Fatalf("%+v", got)
	}
	for want, answer := range answers {
		answer.refusedWith(fault.Invalid, want)
	}
	if p := progress(t, env); len(p.Acts) != 0 {
		t.Errorf("%+v", p.Acts)
	}
}

// TestSteeringOutlivesHistoriesAndAttempts pauses, fails and turns up a run
// whose history is short, and that loses against another.
func TestSteeringOutlivesHistoriesAndAttempts(t *testing.T) {
	t.Parallel()
	var intruded, mended atomic.Bool
	w := &world{Folds: 25}
	w.Before = func(_ context.Context, s string, unit int) error {
		if s == "fold" && unit == 3 && !mended.Load() {
			return fault.New(fault.Corrupt, "another checksum")
		}
		if s == "publish" && intruded.CompareAndSwap(false, true) {
			w.Intrude()
		}
		return nil
	}
	var input any = BackfillInput{Pipeline: "retail", Parallel: 2}
	waited := 0
	for histories := 1; ; histories++ {
		env := environment(t, w)
		env.SetContinueAsNewSuggested(true)
		if histories == 1 {
			env.RegisterDelayedCallback(func() { tell(t, env, ParallelUpdate, Instruction{By: "ana", Reason: "test", Parallel: 4}) }, 0)
		}
		later(env, func() {
			if p := progress(t, env); p.Waits == waitsRetry {
				waited++
				mended.Store(true)
				tell(t, env, RetryUpdate, because)
			}
		})
		env.ExecuteWorkflow(BackfillType, input)
		var more *workflow.ContinueAsNewError
		if !errors.As(env.GetWorkflowError(), &more) {
			got, p := result(t, env), progress(t, env)
			if got.Version != 2 || got.Attempts != 2 || got.Units != 27 || histories < 5 || waited != 1 {
				t.Fatalf("%+v after %d histories, waited %d times", got, histories, waited)
			}
			if p.Parallel != 4 || len(p.Acts) != 2 {
				t.Errorf("%+v", p)
			}
			break
		}
		var next BackfillInput
		if err := converter.GetDefaultDataConverter().FromPayloads(more.Input, &next); err != nil {
			t.Fatal(err)
		}
		input = next
	}
	if n := w.Count("fold"); n != 50 {
		t.Errorf("%d folds", n)
	}
}

// at is a moment of a workflow's simulated time: hours apart, so that all
// retries of a step lie between two of them.
func at(i int) time.Duration { return time.Duration(i) * 2 * time.Hour }

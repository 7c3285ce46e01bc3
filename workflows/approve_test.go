package workflows

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/fault"
)

const digest = "3fa91c2055aa00ff3fa91c2055aa00ff"

// differs is the review of a plan that changes something, under a policy that
// asks.
func differs(digest string) func(batch.PlanRef) batch.Review {
	return func(p batch.PlanRef) batch.Review {
		return batch.Review{Old: p.Parent, Digest: digest, Policy: "within 1%", Ask: "view day: 3 of 10 groups differ, 30 %; the bound is 1 %", Markdown: "| view | groups |\n"}
	}
}

func approve(digest string) Instruction {
	return Instruction{By: "ben", Reason: "as expected", Digest: digest}
}

func TestBackfillWaitsForAnApproval(t *testing.T) {
	t.Parallel()
	w := &world{Reviews: differs(digest)}
	env := environment(t, w)
	var early, wrong, short, no *said
	env.RegisterDelayedCallback(func() {
		early = tell(t, env, ApproveUpdate, approve(digest))
		no = tell(t, env, RejectUpdate, because)
	}, 0)
	later(env, func() {
		p := progress(t, env)
		if p.Waits != waitsApprove || p.Phase != phaseApproval || p.State != "waits for an approval of "+digest || p.Review.Digest != digest || !strings.Contains(p.Ask, "30 %") {
			t.Errorf("%+v", p)
		}
		if w.Count("publish") != 0 {
			t.Error("published")
		}
		wrong = tell(t, env, ApproveUpdate, approve("3fa91c2155"))
		short = tell(t, env, ApproveUpdate, approve("3fa91c2"))
	}, func() {
		if p := progress(t, env); p.Waits != waitsApprove {
			t.Errorf("%+v", p)
		}
		tell(t, env, ApproveUpdate, approve(digest[:8]))
	})
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	got := result(t, env)
	if got.Version != 1 || got.Approval == nil || got.Approval.By != "ben" || got.Approval.Digest != digest {
		t.Fatalf("%+v", got)
	}
	early.refusedWith(fault.Conflict, "does not wait for an approval")
	no.refusedWith(fault.Conflict, "does not wait for an approval; cancel it")
	wrong.refusedWith(fault.Conflict, "has digest "+digest+", not 3fa91c2155")
	short.refusedWith(fault.Invalid, "at least 8 digits")
	if p := progress(t, env); p.Waits != "" || p.Ask != "" || p.Review.Digest != digest {
		t.Errorf("%+v", p)
	}
}

func TestRejectedRunFailsAndPublishesNothing(t *testing.T) {
	t.Parallel()
	w := &world{Reviews: differs(digest)}
	env := environment(t, w)
	later(env, func() { tell(t, env, RejectUpdate, Instruction{By: "ben", Reason: "returns are missing"}) })
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	err := activities.FromTemporal(env.GetWorkflowError())
	if !fault.Is(err, fault.Conflict) || fault.CodeOf(err) != "rejected" || !strings.Contains(err.Error(), "ben rejected it: returns are missing; nothing was published") {
		t.Fatal(err)
	}
	if w.Count("publish") != 0 || w.Count("plan") != 1 {
		t.Errorf("%v", w.Log())
	}
	if p := progress(t, env); p.Phase != phaseFailed || p.Waits != "" {
		t.Errorf("%+v", p)
	}
}

func TestPolicyDecidesWhetherItWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    string
		asks    bool // the policy
		approve bool // the request
		reviews int
		waits   bool
	}{
		{BackfillType, false, false, 1, false},
		{BackfillType, true, false, 1, true},
		{BackfillType, false, true, 1, true},
		{NightlyType, true, false, 0, false}, // it does not pay for a comparison
		{NightlyType, false, true, 1, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			w, waited := &world{}, false
			if c.asks {
				w.Reviews = differs("e3b0c44298fc1c14")
			}
			env := environment(t, w)
			later(env, func() {
				waited = progress(t, env).Waits == waitsApprove
				tell(t, env, ApproveUpdate, approve("e3b0c44298fc1c14"))
			})
			if c.kind == NightlyType {
				env.ExecuteWorkflow(c.kind, NightlyInput{Pipeline: "retail", Approve: c.approve})
			} else {
				env.ExecuteWorkflow(c.kind, BackfillInput{Pipeline: "retail", Approve: c.approve})
			}
			if got := result(t, env); got.Version != 1 || waited != c.waits || w.Count("review") != c.reviews {
				t.Errorf("%+v, waited %v, %d reviews", got, waited, w.Count("review"))
			}
		})
	}
}

// TestApprovalHoldsForTheSameDifferences: another run publishes while one
// waits for its approval.
func TestApprovalHoldsForTheSameDifferences(t *testing.T) {
	t.Parallel()
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprint("same: ", same), func(t *testing.T) {
			t.Parallel()
			other := "00000000" + digest[8:]
			w := &world{Takes: []string{"day"}}
			w.Reviews = func(p batch.PlanRef) batch.Review {
				if p.Parent > 0 && !same {
					return differs(other)(p)
				}
				return differs(digest)(p)
			}
			env := environment(t, w)
			asked := 0
			later(env, func() {
				w.Intrude()
				tell(t, env, ApproveUpdate, approve(digest))
			}, func() {
				asked++
				p := progress(t, env)
				if p.Waits != waitsApprove || !strings.HasPrefix(p.Ask, "other differences than those that ben approved, as version 1 was published meanwhile") {
					t.Errorf("%+v", p)
				}
				tell(t, env, ApproveUpdate, approve(digest)).refusedLater()
				tell(t, env, ApproveUpdate, approve(other))
			})
			env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
			got := result(t, env)
			if got.Version != 2 || got.Attempts != 2 || w.Count("review") != 2 || (asked == 0) != same {
				t.Fatalf("%+v, asked again %d times, %v", got, asked, w.Log())
			}
			if r := w.Requests()[1]; !slices.Equal(r.Takes, w.Takes) {
				t.Errorf("what was approved is not what the second plan does: %+v", r)
			}
		})
	}
}

func (s *said) refusedLater() {
	s.t.Cleanup(func() { s.refusedWith(fault.Conflict, "look at it again") })
}

func TestCancelWhileItWaitsForAnApproval(t *testing.T) {
	t.Parallel()
	for _, update := range []bool{true, false} {
		w := &world{Reviews: differs(digest)}
		env := environment(t, w)
		later(env, func() {
			if update {
				tell(t, env, CancelUpdate, because)
			} else {
				env.CancelWorkflow()
			}
		})
		env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
		if err := activities.FromTemporal(env.GetWorkflowError()); fault.CodeOf(err) != "cancelled" || w.Count("publish") != 0 {
			t.Fatal(err)
		}
	}
}

// TestPauseBeforePublishing: a pause while it is reviewed keeps it from being
// published.
func TestPauseBeforePublishing(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	w.Before = func(_ context.Context, s string, _ int) error {
		if s == "review" {
			tell(t, env, PauseUpdate, because)
		}
		return nil
	}
	later(env, func() {
		if p := progress(t, env); p.Waits != waitsResume || p.Phase != phasePublish || w.Count("publish") != 0 {
			t.Errorf("%+v", p)
		}
		tell(t, env, ResumeUpdate, because)
	})
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	if got := result(t, env); got.Version != 1 {
		t.Fatalf("%+v", got)
	}
}

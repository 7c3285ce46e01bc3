package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/fault"
)

// shortDigest is how much of a digest an approval has to name.
const shortDigest = 8

func checkApprove(r *run, in Instruction) error {
	switch {
	case !r.asking():
		return refused("the run does not wait for an approval")
	case len(in.Digest) < shortDigest:
		return invalid("approve: which comparison? give its digest, or at least %d digits of it: it is in the run's details", shortDigest)
	case !strings.HasPrefix(r.review.Digest, in.Digest):
		return refused("the comparison to approve has digest %s, not %s: look at it again", r.review.Digest, in.Digest)
	}
	return nil
}

func checkReject(r *run, _ Instruction) error {
	if !r.asking() {
		return refused("the run does not wait for an approval; cancel it to end it")
	}
	return nil
}

// asking reports whether the run waits for somebody to approve its review.
func (r *run) asking() bool {
	return r.s.Phase == phaseApproval && !r.approved() && r.s.Steering.Rejected == nil
}

// approved reports whether somebody approved of differences like these.
func (r *run) approved() bool {
	a := r.s.Steering.Approval
	return a != nil && r.review != nil && a.Digest == r.review.Digest
}

// inspect compares what was made with what is published, and waits for an
// approval if there has to be one. A nightly compares nothing unless its
// request wants an approval.
func (r *run) inspect(ctx workflow.Context) error {
	if !r.compares {
		return nil
	}
	r.enter(ctx, phaseReview)
	if err := r.step(ctx, long, "compare it with what is published, cell by cell", steps.Review, r.ofPlan(), &r.review); err != nil {
		return err
	}
	if r.dry || r.ask() == "" || r.approved() {
		return nil
	}
	r.enter(ctx, phaseApproval)
	if err := r.await(ctx, func() bool { return !r.asking() }); err != nil {
		return err
	}
	if no := r.s.Steering.Rejected; no != nil {
		return activities.Ended(fault.WithCode(fault.New(fault.Conflict, "%s rejected it: %s; nothing was published", no.By, no.Reason), "rejected"))
	}
	return nil
}

// ask says why the run wants an approval; empty: it does not.
func (r *run) ask() string {
	switch a := r.s.Steering.Approval; {
	case r.review.Ask == "" && !r.approval:
		return ""
	case a != nil && !r.approved():
		return fmt.Sprintf("other differences than those that %s approved, as version %d was published meanwhile", a.By, r.review.Old)
	case r.review.Ask != "":
		return r.review.Ask
	}
	return "whoever started the run wants it approved"
}

package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/fault"
)

// The Updates by which people steer a run that goes on. Each takes an
// Instruction, is kept in the run's history, and answers with a sentence on
// how the run stands.
const (
	PauseUpdate    = "pause"    // give out nothing more; what runs may end
	ResumeUpdate   = "resume"   // go on
	CancelUpdate   = "cancel"   // end, and publish nothing
	ParallelUpdate = "parallel" // how many units may run at once
	RetryUpdate    = "retry"    // what failed, once more
	ApproveUpdate  = "approve"  // publish what the comparison shows
	RejectUpdate   = "reject"   // end, as what it shows is wrong
)

// Instruction is what a person says to a run. Who and why are always wanted.
type Instruction struct {
	By       string `json:"by"`
	Reason   string `json:"reason"`
	Parallel int    `json:"parallel,omitempty"` // of "parallel"
	View     string `json:"view,omitempty"`     // of "promote" and "rollback": one view of a canary; empty: all
	Digest   string `json:"digest,omitempty"`   // of "approve": which comparison, or how its digest begins
}

// Act is an Instruction that was followed.
type Act struct {
	At time.Time `json:"at"`
	Do string    `json:"do"`
	Instruction
}

func (a Act) String() string {
	what := a.Do
	if a.Parallel > 0 {
		what = fmt.Sprintf("%s %d", what, a.Parallel)
	}
	return fmt.Sprintf("%s by %s: %s", what, a.By, a.Reason)
}

// Failed is a step that failed for good, while the run waits to be told to
// retry it.
type Failed struct {
	Phase string    `json:"phase"`
	Unit  int       `json:"unit"` // of the phase, from 0; -1: the phase is one step
	Label string    `json:"label"`
	Kind  string    `json:"kind"` // of fault
	Error string    `json:"error"`
	At    time.Time `json:"at"`
}

// Steering is what people have told a run. It outlives an attempt.
type Steering struct {
	Paused   bool  `json:"paused,omitempty"`
	Parallel int   `json:"parallel,omitempty"` // units that may run at once
	Acts     []Act `json:"acts,omitempty"`     // the last ones
	// Approval is the last one; Digest names all of the comparison.
	Approval *Act `json:"approval,omitempty"`
	Rejected *Act `json:"rejected,omitempty"`
}

// keptActs is how many acts a run shows; its history has all.
const keptActs = 10

// steer is one way to steer: whether a run can follow an instruction now, and
// what it then does.
type steer struct {
	name, description string
	check             func(r *run, in Instruction) error // nil: always
	do                func(r *run, act Act)
}

var steers = []steer{
	{PauseUpdate, `Give out nothing more; units that run may end. {"by":"ana","reason":"month-end load"}`, nil,
		func(r *run, _ Act) { r.s.Steering.Paused = true }},
	{ResumeUpdate, `Go on after a pause. {"by":"ana","reason":"load is gone"}`, nil,
		func(r *run, _ Act) { r.s.Steering.Paused = false }},
	{CancelUpdate, `End when the running units have stopped; nothing is published. {"by":"ana","reason":"wrong days"}`, nil,
		func(r *run, _ Act) { r.cancelled = true; r.cancel() }},
	{ParallelUpdate, `How many units may run at once, from now on. {"by":"ana","reason":"night time","parallel":16}`, checkParallel,
		func(r *run, act Act) { r.s.Steering.Parallel = act.Parallel }},
	{RetryUpdate, `Take up again what failed, and only that. {"by":"ana","reason":"disk replaced"}`, checkRetry,
		func(r *run, _ Act) { r.retry() }},
	{ApproveUpdate, `Publish what the comparison shows; the digest says which one you read. {"by":"ana","reason":"as expected","digest":"3fa91c20"}`, checkApprove,
		func(r *run, act Act) { act.Digest = r.review.Digest; r.s.Steering.Approval = &act }},
	{RejectUpdate, `End without publishing what the comparison shows. {"by":"ana","reason":"returns are missing"}`, checkReject,
		func(r *run, act Act) { r.s.Steering.Rejected = &act }},
}

func checkParallel(_ *run, in Instruction) error {
	if in.Parallel < 1 || in.Parallel > maxParallel {
		return invalid("parallel %d: want 1 to %d", in.Parallel, maxParallel)
	}
	return nil
}

func checkRetry(r *run, _ Instruction) error {
	if len(r.s.Failed) == 0 {
		return refused("nothing of this run has failed, so there is nothing to retry")
	}
	return nil
}

// listen takes instructions from here on.
func (r *run) listen(ctx workflow.Context) error {
	for _, s := range steers {
		check := func(_ workflow.Context, in Instruction) error {
			switch {
			case r.ended():
				return refused("the run has ended: %s", orElse(r.note, r.s.Phase))
			case strings.TrimSpace(in.By) == "":
				return invalid(`%s: who says so? give JSON like {"by":"ana","reason":"..."}`, s.name)
			case strings.TrimSpace(in.Reason) == "":
				return invalid(`%s: why? give JSON like {"by":%q,"reason":"..."}`, s.name, in.By)
			case s.check != nil:
				return s.check(r, in)
			}
			return nil
		}
		do := func(ctx workflow.Context, in Instruction) (string, error) {
			act := Act{At: workflow.Now(ctx), Do: s.name, Instruction: in}
			acts := append(r.s.Steering.Acts, act)
			r.s.Steering.Acts = acts[max(0, len(acts)-keptActs):]
			s.do(r, act)
			r.show(ctx)
			return r.state(), nil
		}
		err := workflow.SetUpdateHandlerWithOptions(ctx, s.name, do, workflow.UpdateHandlerOptions{Validator: check, Description: s.description})
		if err != nil {
			return err
		}
	}
	return nil
}

// retry gives out again what failed.
func (r *run) retry() {
	for _, f := range r.s.Failed {
		if f.Unit >= 0 {
			r.s.Again = append(r.s.Again, f.Unit)
		}
	}
	r.s.Failed = nil
}

// longError bounds what goes from history to history.
const longError = 500

// failed keeps a step's failure for whoever may mend it.
func (r *run) failed(ctx workflow.Context, unit int, label string, err error) {
	kind, said := activities.Said(err)
	if len(said) > longError {
		said = strings.ToValidUTF8(said[:longError], "") + "..."
	}
	r.s.Failed = append(r.s.Failed, Failed{Phase: r.s.Phase, Unit: unit, Label: label, Kind: kind.String(), Error: said, At: workflow.Now(ctx)})
	workflow.GetLogger(ctx).Warn("a step failed, the run waits for a retry", "pipeline", r.request.Pipeline, "phase", r.s.Phase, "unit", label, "error", said)
	r.show(ctx)
}

// What a run waits for.
const (
	waitsResume  = "resume"
	waitsRetry   = "retry"
	waitsApprove = "approve"
)

// waits says what a person has to do before the run goes on; empty: nothing.
func (r *run) waits() string {
	switch {
	case r.ended() || r.running > 0:
		return ""
	case r.s.Steering.Paused:
		return waitsResume
	case r.stuck():
		return waitsRetry
	case r.asking():
		return waitsApprove
	}
	return ""
}

// state is one sentence on how the run stands.
func (r *run) state() string {
	running := fmt.Sprintf("%d of its units still run", r.running)
	switch {
	case r.ended():
		return r.s.Phase
	case r.s.Steering.Rejected != nil:
		return "rejected"
	case r.cancelled && r.running > 0:
		return "being cancelled, " + running
	case r.cancelled:
		return "being cancelled"
	case r.s.Steering.Paused && r.running > 0:
		return "being paused, " + running
	case r.s.Steering.Paused:
		return "paused"
	case r.stuck():
		return fmt.Sprintf("waits for a retry: %d failed", len(r.s.Failed))
	case r.asking():
		return "waits for an approval of " + r.review.Digest
	}
	return "running"
}

// stuck reports whether the run cannot go on before a retry.
func (r *run) stuck() bool { return r.running == 0 && len(r.s.Failed) > 0 }

// await waits until free, and shows what for when nothing of the run works.
func (r *run) await(ctx workflow.Context, free func() bool) error {
	if !free() && r.running == 0 {
		r.show(ctx)
	}
	if err := workflow.Await(ctx, free); err != nil {
		return err
	}
	return ctx.Err()
}

func refused(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), fault.Conflict.String(), nil)
}

package batch

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

var errTodo = fault.New(fault.Bug, "batch is not built yet")

type metrics struct{}

func newMetrics(_ any, _ string) *metrics { return nil }

// NextBarrier returns the barrier of the next cycle: one more than the highest
// that was published or sealed. A barrier that a dead run has appended and
// that is not sealed yet is returned again, which is fine.
func (r *Runner) NextBarrier(ctx context.Context) (k uint64, err error) { return 0, errTodo }

// AppendBarriers appends barrier k to every partition. Repeating it is
// harmless: the first occurrence in log order counts.
func (r *Runner) AppendBarriers(ctx context.Context, k uint64) error { return errTodo }

// Sealed returns the cut of barrier k once the segments below it are sealed
// in every partition; until then ok is false and cut has zeros for the
// partitions that are not there yet. Ask again after a while. ErrDone when a
// later barrier has been published.
func (r *Runner) Sealed(ctx context.Context, k uint64) (cut event.Cut, ok bool, err error) {
	return nil, false, errTodo
}

// Plan decides what there is to do, from the newest manifest, and stores it
// as a note. A plan of the same run that is there already is returned as it
// stands. ErrDone when the barrier is published; Transient when it is not
// sealed.
func (r *Runner) Plan(ctx context.Context, q Request) (PlanRef, error) { return PlanRef{}, errTodo }

// Compact takes the new segments of one partition in log order, finds out
// which events count, and writes them by event day, with their ids.
func (r *Runner) Compact(ctx context.Context, plan PlanRef, partition int) (Ref, error) {
	return Ref{}, errTodo
}

// Spread cuts the days that must be folded into units of work. It needs every
// Compact.
func (r *Runner) Spread(ctx context.Context, plan PlanRef) (Units, error) { return Units{}, errTodo }

// Fold folds the events of a unit's days into the states of its views.
func (r *Runner) Fold(ctx context.Context, plan PlanRef, unit int) (Ref, error) {
	return Ref{}, errTodo
}

// Gather cuts the results that must be finished into units of work. It needs
// every Fold.
func (r *Runner) Gather(ctx context.Context, plan PlanRef) (Units, error) { return Units{}, errTodo }

// Finish merges the states of a unit's days and writes the finished rows.
func (r *Runner) Finish(ctx context.Context, plan PlanRef, unit int) (Ref, error) {
	return Ref{}, errTodo
}

// Report is what Verify found to be in order.
type Report struct {
	Rows, Counted, Duplicates, Filtered, Conflicts int64            // of the new segments
	FilteredBy                                     map[string]int64 // by the code of the rule
	Days, Results                                  int              // event days and result files of the new manifest
	Objects                                        int              // new ones
	Bytes                                          int64            // in them
}

// Verify checks that the run adds up: every row of the new segments is
// counted, a duplicate, filtered or a conflict; every counted event was folded
// once into every view; every day and period has its file. It needs every
// Finish. The error is Bug or Corrupt, and nothing is published then.
func (r *Runner) Verify(ctx context.Context, plan PlanRef) (Report, error) { return Report{}, errTodo }

// Publish makes the run's manifest the newest, by one conditional put.
// Conflict when another run has published meanwhile: plan again. Publishing
// again what this run has published is a success.
func (r *Runner) Publish(ctx context.Context, plan PlanRef) (Published, error) {
	return Published{}, errTodo
}

// Run takes all steps of a run in this process, planning again when another
// run publishes meanwhile. For a nightly without K it begins a new cycle; a
// sealer must be running somewhere.
func Run(ctx context.Context, r *Runner, q Request) (Published, error) {
	return Published{}, errTodo
}

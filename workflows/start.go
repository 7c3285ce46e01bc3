package workflows

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/zeebo/xxh3"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"anabranch/activities"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// Started names a run.
type Started struct {
	ID    string `json:"id"`     // of the workflow: one for all who gave the same key
	RunID string `json:"run_id"` // of the execution
}

// StartNightly starts a nightly run of a pipeline, or joins the one that has
// the same key: one that runs, or one that ended well. Without a key the data
// date makes one, or else now. Errors: Invalid, Transient (no server).
func StartNightly(ctx context.Context, c client.Client, queue string, in NightlyInput, now time.Time) (Started, error) {
	if err := in.check(); err != nil {
		return Started{}, activities.FromTemporal(err)
	}
	if in.Key == "" && in.Date != "" {
		in.Key = "nightly-" + in.Date
	}
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "nightly", NightlyType, &in, fmt.Sprintf("nightly of %s", in.Pipeline), now)
}

// StartBackfill starts a backfill, or joins the one of the same view and days
// that has the same key. Without a key now makes one.
func StartBackfill(ctx context.Context, c client.Client, queue string, in BackfillInput, now time.Time) (Started, error) {
	if in.Key == "" {
		in.Key = stamp(now)
	}
	if err := plainName("pipeline", in.Pipeline); err != nil {
		return Started{}, err
	}
	if in.View != "" {
		if err := plainName("view", in.View); err != nil {
			return Started{}, err
		}
	}
	if err := checkDays(in.From, in.To); err != nil {
		return Started{}, activities.FromTemporal(err)
	}
	view, from, to := orElse(in.View, "all"), orElse(in.From, "first"), orElse(in.To, "last")
	id := fmt.Sprintf("backfill-%s-%s-%s-%s-%s", in.Pipeline, view, from, to, safe(in.Key))
	return start(ctx, c, queue, id, BackfillType, in, fmt.Sprintf("backfill of %s, view %s, days %s to %s", in.Pipeline, view, from, to), in.Reason, in.By)
}

// asked is what every run is started with; key is where its name is, or comes.
type asked struct {
	pipeline   string
	key        *string
	reason, by string
}

// start starts a run of a pipeline by its key, now when it has none.
func (a asked) start(ctx context.Context, c client.Client, queue, prefix, kind string, in any, summary string, now time.Time) (Started, error) {
	*a.key = orElse(*a.key, stamp(now))
	if err := plainName("pipeline", a.pipeline); err != nil {
		return Started{}, err
	}
	return start(ctx, c, queue, fmt.Sprintf("%s-%s-%s", prefix, a.pipeline, safe(*a.key)), kind, in, summary, a.reason, a.by)
}

func start(ctx context.Context, c client.Client, queue, id, kind string, in any, summary, reason, by string) (Started, error) {
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: queue,
		// The same id is the same run: who comes second joins it. A run that
		// failed or was cancelled may be started again under its id.
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		StaticSummary:            summary,
		StaticDetails:            fmt.Sprintf("Asked for by %s.\n\nReason: %s", orElse(cell(by), "somebody"), orElse(cell(reason), "not given")),
	}, kind, in)
	if err != nil {
		return Started{}, ofServer(fmt.Errorf("start %s: %w", id, err))
	}
	return Started{ID: id, RunID: run.GetRunID()}, nil
}

// forbearance is how often in a row the server is asked again when it did not
// say how a run has ended, a second after each time.
const forbearance = 60

// awaitEnd waits for the end of a run, which may continue with a fresh history:
// it is named by its workflow id and first run. A server that breaks calls off,
// starts anew, or does not answer in time is asked again; then the error is
// its, and the run goes on.
func awaitEnd(ctx context.Context, c client.Client, s Started, out any, clk clock.Clock) error {
	for n := 0; ; n++ {
		err := c.GetWorkflow(ctx, s.ID, s.RunID).Get(ctx, out)
		var ended *temporal.WorkflowExecutionError
		if err == nil || errors.As(err, &ended) || ctx.Err() != nil || n == forbearance {
			return err
		}
		if kind := fault.KindOf(ofServer(err)); kind != fault.Transient && kind != fault.Throttled {
			return err
		}
		select {
		case <-clk.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Await waits until a run has ended and returns what it came to. When tell is
// not nil it hears how far the run is, about once every interval and at the
// end. Ending ctx ends the waiting, not the run. The error of a run that
// failed has the kind of what failed; one that was cancelled is a Conflict
// with code "cancelled".
func Await(ctx context.Context, c client.Client, s Started, every time.Duration, clk clock.Clock, tell func(Progress)) (Result, error) {
	type end struct {
		result Result
		err    error
	}
	ended := make(chan end, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		var e end
		e.err = awaitEnd(ctx, c, s, &e.result, clk)
		ended <- e
	}()
	for {
		var tick <-chan time.Time
		if tell != nil {
			tick = clk.After(every)
		}
		select {
		case e := <-ended:
			if tell != nil {
				if p, err := QueryProgress(ctx, c, s.ID); err == nil {
					tell(p)
				}
			}
			if e.err != nil {
				return Result{}, ofRun(e.err)
			}
			return e.result, nil
		case <-tick:
			// A worker that is busy or starting answers the next time.
			if p, err := QueryProgress(ctx, c, s.ID); err == nil {
				tell(p)
			}
		}
	}
}

// Outcome waits until the run has ended and returns what it came to: a T of
// its own type of workflow. A run that failed may have come to something too,
// as an audit that found a drift has.
func Outcome[T any](ctx context.Context, c client.Client, s Started) (T, error) {
	var out T
	err := c.GetWorkflow(ctx, s.ID, s.RunID).Get(ctx, &out)
	if err == nil {
		return out, nil
	}
	activities.Carried(err, &out)
	return out, ofRun(err)
}

// QueryProgress asks the newest run of a workflow id how far it is. It needs a
// worker. Errors: NotFound, Transient.
func QueryProgress(ctx context.Context, c client.Client, id string) (Progress, error) {
	var p Progress
	answer, err := c.QueryWorkflow(ctx, id, "", ProgressQuery)
	if err != nil {
		return p, ofServer(fmt.Errorf("ask %s how far it is: %w", id, err))
	}
	if err := answer.Get(&p); err != nil {
		return p, fault.New(fault.Bug, "read the progress of %s: %w", id, err)
	}
	return p, nil
}

// Cancel asks a run to end. It ends once its steps have, and publishes nothing
// unless it already has. Errors: NotFound, Transient.
func Cancel(ctx context.Context, c client.Client, id string) error {
	if err := c.CancelWorkflow(ctx, id, ""); err != nil {
		return ofServer(fmt.Errorf("cancel %s: %w", id, err))
	}
	return nil
}

// FormLink returns the address of the Temporal UI's form that starts a
// workflow of the given type; the form takes the input of the last one of that
// type as a beginning.
func FormLink(ui, namespace, queue, workflowType, id string) string {
	if ui == "" {
		return ""
	}
	q := url.Values{"taskQueue": {queue}, "workflowType": {workflowType}}
	if id != "" {
		q.Set("workflowId", id)
	}
	return fmt.Sprintf("%s/namespaces/%s/workflows/start-workflow?%s", strings.TrimRight(ui, "/"), url.PathEscape(namespace), q.Encode())
}

// RunLink returns the address of a run in the Temporal UI.
func RunLink(ui, namespace string, s Started) string {
	if ui == "" {
		return ""
	}
	return fmt.Sprintf("%s/namespaces/%s/workflows/%s/%s", strings.TrimRight(ui, "/"), url.PathEscape(namespace), url.PathEscape(s.ID), url.PathEscape(s.RunID))
}

// ofRun turns the end of a run into an error with a kind.
func ofRun(err error) error {
	var ended *temporal.WorkflowExecutionError
	if errors.As(err, &ended) {
		var terminated *temporal.TerminatedError
		if errors.As(err, &terminated) {
			return fault.WithCode(fault.New(fault.Conflict, "the run was terminated; start it again"), "terminated")
		}
		return activities.FromTemporal(err)
	}
	return ofServer(err)
}

// ofServer gives an error of the Temporal server a kind.
func ofServer(err error) error {
	var notFound *serviceerror.NotFound
	var denied *serviceerror.PermissionDenied
	var invalid *serviceerror.InvalidArgument
	var busy *serviceerror.ResourceExhausted
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notFound):
		return fault.Wrap(fault.NotFound, err)
	case errors.As(err, &denied):
		return fault.Wrap(fault.Denied, err)
	case errors.As(err, &invalid):
		return fault.Wrap(fault.Invalid, err)
	case errors.As(err, &busy):
		return fault.Wrap(fault.Throttled, err)
	}
	return fault.Wrap(fault.Transient, err)
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

func plainName(what, name string) error {
	if !namePattern.MatchString(name) {
		return fault.New(fault.Invalid, "%s %q: want a name of letters, digits, '_', '-' and '.'", what, name)
	}
	return nil
}

// safe makes a part of a workflow id of what a caller gave as key. An id is
// printable ASCII, since it travels in a header; other keys have other ids.
func safe(key string) string {
	var id strings.Builder
	for _, c := range []byte(key) {
		switch {
		case c <= ' ', c == '/', c == 0x7f:
			id.WriteByte('_')
		case c > 0x7f:
			fmt.Fprintf(&id, "%%%02X", c)
		default:
			id.WriteByte(c)
		}
	}
	const most = 200
	if id.Len() <= most {
		return id.String()
	}
	return fmt.Sprintf("%s-%016x", id.String()[:most-17], xxh3.HashString(key))
}

func stamp(now time.Time) string { return now.UTC().Format("20060102T150405Z") }

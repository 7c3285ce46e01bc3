// Package worker runs the workflows and activities of Anabranch: it takes
// tasks from a Temporal server's queue, does them, and drains when stopped.
package worker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/fault"
	"anabranch/internal/lifecycle"
	"anabranch/internal/processors"
	"anabranch/workflows"
)

// Options of a Worker.
type Options struct {
	Client     client.Client          // required
	Activities *activities.Activities // required
	TaskQueue  string                 // default workflows.TaskQueue
	Namespace  string                 // of Client; default "default"
	// Parallel is how many steps run at once in this process; default one for
	// each processor, as a step keeps one busy, and two for steps that wait.
	Parallel int
	// Deployment and Build make this one of the workers of a build, which gets
	// its share of new runs and keeps those that began on it; see Ramp. Empty:
	// it takes any run.
	Deployment, Build string
	// Drain is how long Stop lets running steps end; then they are cancelled,
	// and done again by the next worker. Default 20 s.
	Drain time.Duration
	Log   *slog.Logger // default: discarded
}

// Worker is a lifecycle.Part. Any number of them may serve one queue.
type Worker struct {
	opts Options
	done chan struct{}

	mu     sync.Mutex    // guards what follows
	worker worker.Worker // nil while stopped
	err    error
	over   bool
}

var _ lifecycle.Part = (*Worker)(nil)

// New returns a worker that is not started.
func New(opts Options) *Worker {
	opts.TaskQueue = cmp.Or(opts.TaskQueue, workflows.TaskQueue)
	opts.Namespace = cmp.Or(opts.Namespace, client.DefaultNamespace)
	opts.Parallel = cmp.Or(opts.Parallel, processors.Count()+2)
	opts.Drain = cmp.Or(opts.Drain, 20*time.Second)
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	return &Worker{opts: opts, done: make(chan struct{})}
}

// Start makes sure that the server knows the search attributes and begins to
// take tasks. Errors: Invalid (options, or a search attribute of another
// type), Denied (the server does not let us add one), Transient.
func (w *Worker) Start(ctx context.Context) error {
	if w.opts.Client == nil || w.opts.Activities == nil || w.opts.Activities.Runners == nil {
		return fault.New(fault.Invalid, "a worker needs a Temporal client and activities with runners")
	}
	if (w.opts.Deployment == "") != (w.opts.Build == "") {
		return fault.New(fault.Invalid, "a worker's deployment %q and build %q go together", w.opts.Deployment, w.opts.Build)
	}
	if err := ensureSearchAttributes(ctx, w.opts.Client.OperatorService(), w.opts.Namespace); err != nil {
		return err
	}
	inner := worker.New(w.opts.Client, w.opts.TaskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: w.opts.Parallel,
		WorkerStopTimeout:                  w.opts.Drain,
		// A cancelled run ends soon, not at the end of a heartbeat timeout. It is
		// also how long the server may take to answer: a step whose heartbeat has
		// no answer is ended by the library.
		MaxHeartbeatThrottleInterval: 6 * time.Second,
		OnFatalError:                 w.finish,
		DeploymentOptions:            versioned(w.opts.Deployment, w.opts.Build),
	})
	RegisterWorkflows(inner)
	inner.RegisterActivity(w.opts.Activities)
	if err := inner.Start(); err != nil {
		return fault.Wrap(fault.Transient, fmt.Errorf("take tasks from queue %s: %w", w.opts.TaskQueue, err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.worker = inner
	w.opts.Log.Info("worker takes tasks", "queue", w.opts.TaskQueue, "parallel", w.opts.Parallel)
	return nil
}

// Stop takes no new tasks and waits for those that run, for at most Drain.
func (w *Worker) Stop() {
	w.mu.Lock()
	inner := w.worker
	w.worker = nil
	w.mu.Unlock()
	if inner != nil {
		inner.Stop()
	}
	w.finish(nil)
}

// Done is closed when the worker takes no tasks any more: after Stop, or when
// the server refused it for good; Err then says why.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Err returns why the worker ended by itself, else nil.
func (w *Worker) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *Worker) finish(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.over, w.err = true, err
	if err != nil {
		w.opts.Log.Error("worker ended", "error", err)
	}
	close(w.done)
}

// RegisterWorkflows registers every workflow under the name that histories
// know it by.
func RegisterWorkflows(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.Nightly, workflow.RegisterOptions{Name: workflows.NightlyType})
	r.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: workflows.BackfillType})
	r.RegisterWorkflowWithOptions(workflows.Canary, workflow.RegisterOptions{Name: workflows.CanaryType})
	r.RegisterWorkflowWithOptions(workflows.ReleaseDeadLetters, workflow.RegisterOptions{Name: workflows.ReleaseType})
	r.RegisterWorkflowWithOptions(workflows.Import, workflow.RegisterOptions{Name: workflows.ImportType})
	r.RegisterWorkflowWithOptions(workflows.Audit, workflow.RegisterOptions{Name: workflows.AuditType})
	r.RegisterWorkflowWithOptions(workflows.Compact, workflow.RegisterOptions{Name: workflows.CompactType})
	r.RegisterWorkflowWithOptions(workflows.Expire, workflow.RegisterOptions{Name: workflows.ExpireType})
	r.RegisterWorkflowWithOptions(workflows.Restore, workflow.RegisterOptions{Name: workflows.RestoreType})
	r.RegisterWorkflowWithOptions(workflows.RebuildSpeed, workflow.RegisterOptions{Name: workflows.RebuildSpeedType})
}

// ensureSearchAttributes adds the search attributes the server does not have:
// a workflow that sets an unknown one would hang.
func ensureSearchAttributes(ctx context.Context, operator operatorservice.OperatorServiceClient, namespace string) error {
	have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fault.Wrap(fault.Transient, fmt.Errorf("list the search attributes of namespace %s: %w", namespace, err))
	}
	missing := map[string]enums.IndexedValueType{}
	for name, want := range workflows.SearchAttributes() {
		switch got, ok := have.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = want
		case got != want:
			return fault.New(fault.Invalid, "search attribute %s of namespace %s is a %s, want %s: give Anabranch a namespace of its own", name, namespace, got, want)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if err != nil {
		return fault.WithHint(fault.Wrap(fault.Denied, fmt.Errorf("add search attributes to namespace %s: %w", namespace, err)),
			"let somebody who may run: temporal operator search-attribute create --namespace %s --name Pipeline --type Keyword, and ViewName, RunKind, EventDayFrom, EventDayTo, DataDate likewise", namespace)
	}
	return nil
}

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/openapi"
	"anabranch/internal/temporalserver"
	"anabranch/worker"
	"anabranch/workflows"
)

// namespace is where our workflows live in Temporal.
const namespace = "default"

// runs is the side of the program that talks to Temporal.
type runs struct {
	server *temporalserver.Server // nil when there is none of our own
	client client.Client          // nil without Temporal
	worker *worker.Worker         // nil without the role
	queue  string
	ui     string
	stops  []func()
}

// noTemporal as an address means: no batches from this process.
const noTemporal = "none"

// startRuns starts a Temporal server when none is given, connects, and starts
// the worker.
func startRuns(ctx context.Context, s *Server) (*runs, error) {
	c := s.config
	r := &runs{queue: c.TaskQueue}
	if c.Temporal == noTemporal {
		return r, nil
	}
	if err := r.findServer(ctx, s); err != nil {
		r.stop()
		return nil, err
	}
	var err error
	r.client, err = patiently(ctx, c, "Temporal at "+s.address.Temporal, func(ctx context.Context) (client.Client, error) {
		return worker.Dial(ctx, s.address.Temporal, namespace, c.Logger)
	})
	if err != nil {
		r.stop()
		return nil, err
	}
	r.stops = append(r.stops, r.client.Close)
	if c.has(RoleWorker) {
		r.worker = worker.New(worker.Options{
			Client: r.client, TaskQueue: r.queue, Namespace: namespace, Log: c.Logger, Parallel: s.memory.steps(),
			Deployment: c.Deployment, Build: c.Build,
			Activities: &activities.Activities{Runners: s.runner, Releasers: s.releaser, Judges: s.judge, Importers: s.importer, Audited: s.audited, RebuildSpeed: s.rebuildSpeed, Restore: s.restore, Names: s.names, Poll: 50 * time.Millisecond},
		})
		if err := r.worker.Start(ctx); err != nil {
			r.stop()
			return nil, fmt.Errorf("start the worker: %w", err)
		}
	}
	return r, nil
}

// findServer makes sure that there is a server, and tells its addresses.
func (r *runs) findServer(ctx context.Context, s *Server) error {
	c := s.config
	o := temporalserver.Options{
		Address: c.Temporal, UI: c.TemporalUI, Source: c.TemporalSource, Binary: c.TemporalBinary, Dir: filepath.Join(c.Dir, "temporal"), Log: c.Logger,
		// Never given up: it may take an operator hours to make room on a disk.
		Restarts: math.MaxInt,
		Memory:   s.memory.child,
		Progress: func(p temporalserver.Progress) { c.Progress(p.String()) },
	}
	if c.Temporal == "" {
		var err error
		if o.Port, err = portOf("--temporal-listen", c.TemporalListen); err != nil {
			return err
		}
		if o.UIPort, err = portOf("--temporal-ui", c.TemporalUI); err != nil {
			return err
		}
		for name, kind := range workflows.SearchAttributes() {
			o.SearchAttributes = append(o.SearchAttributes, name+"="+kind.String())
		}
		slices.Sort(o.SearchAttributes)
	}
	r.server = temporalserver.New(o)
	if err := r.server.Start(ctx); err != nil {
		if taken := portsInUse(c.childAddresses()); taken != nil {
			return taken
		}
		return fmt.Errorf("start Temporal: %w", err)
	}
	s.address.Temporal, s.address.TemporalUI = r.server.Address(), r.server.UI()
	r.ui = r.server.UI()
	s.loop.Go(func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-r.server.Done():
			if err := r.server.Err(); err != nil {
				c.Logger.Error("there is no Temporal server any more: events and queries go on, batches do not", "error", err)
			}
		}
	})
	return nil
}

func portOf(flag, address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fault.New(fault.Invalid, "%s %q: want host:port such as 127.0.0.1:7233", flag, address)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return 0, fault.New(fault.Invalid, "%s %q: %q is not a port", flag, address, port)
	}
	return n, nil
}

func (r *runs) stop() {
	if r.worker != nil {
		r.worker.Stop()
	}
	for i := len(r.stops) - 1; i >= 0; i-- {
		r.stops[i]()
	}
	if r.server != nil {
		r.server.Stop()
	}
}

// runner hands the batch library of a pipeline to the activities. A run may go
// on before this process has opened its pipeline: after a restart, while the
// pipeline changes, or when another process applied it a moment ago. So the
// catalog decides whether there is none.
func (s *Server) runner(ctx context.Context, name string) (activities.Runner, bool, error) {
	if p, err := s.pipeline(name); err == nil {
		return p.runner, true, nil
	}
	if err := s.refresh(ctx); err != nil {
		return nil, false, err
	}
	p, err := s.pipeline(name)
	if err != nil {
		return nil, false, nil
	}
	return p.runner, true, nil
}

func (s *Server) names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for n := range s.pipelines {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// temporal returns the client, or says that there is none.
func (s *Server) temporal() (client.Client, error) {
	if s.runs == nil || s.runs.client == nil {
		return nil, fault.New(fault.Transient, "this process has no Temporal: start it without --temporal-address none")
	}
	return s.runs.client, nil
}

func (s *Server) postBatch(r *http.Request, in api.StartBatch) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		return workflows.StartNightly(ctx, c, s.runs.queue, workflows.NightlyInput{
			Pipeline: p.def.Name, Key: cmp.Or(in.Key, sameKey.Of(r)), Date: in.Date, Again: in.Again, Reason: in.Reason, By: in.By,
		}, time.Now())
	})
}

func (s *Server) postBackfill(r *http.Request, in api.StartBackfill) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		if in.View != "" && p.view(in.View) == nil {
			return workflows.Started{}, fault.New(fault.Invalid, "pipeline %s has no view %q: it has %s", p.def.Name, in.View, strings.Join(p.describe().Views, ", "))
		}
		return workflows.StartBackfill(ctx, c, s.runs.queue, workflows.BackfillInput{
			Pipeline: p.def.Name, View: in.View, From: in.From, To: in.To, Key: in.Key, Reason: in.Reason, By: in.By, Parallel: in.Parallel, OnFailure: in.OnFailure, Approve: in.Approve, DryRun: in.DryRun, Sample: in.Sample,
		}, time.Now())
	})
}

var (
	planView = openapi.Text("view", "this view alone")
	planFrom = openapi.Text("from", "the first day, such as 2011-03-01; without it the first there is")
	planTo   = openapi.Text("to", "the last day, included; without it the last there is")
)

// planBackfill says what a backfill would do, and does nothing.
func planBackfill(r *http.Request, p *pipeline) (batch.Estimate, error) {
	return activities.Estimate(r.Context(), p.runner, activities.Request{Pipeline: p.def.Name, View: planView.Of(r), From: planFrom.Of(r), To: planTo.Of(r)})
}

func (s *Server) startRun(r *http.Request, start func(context.Context, client.Client, *pipeline) (workflows.Started, error)) (api.Run, error) {
	p, err := s.find(r.PathValue("name"))
	if err != nil {
		return api.Run{}, err
	}
	c, err := s.temporal()
	if err != nil {
		return api.Run{}, err
	}
	started, err := start(r.Context(), c, p)
	if err != nil {
		return api.Run{}, err
	}
	return s.awaitRun(r, c, started.ID)
}

func (s *Server) getRun(r *http.Request) (api.Run, error) {
	c, err := s.temporal()
	if err != nil {
		return api.Run{}, err
	}
	return s.awaitRun(r, c, r.PathValue("id"))
}

// tellRun pauses, resumes, cancels or otherwise steers a run.
func (s *Server) tellRun(r *http.Request, in workflows.Instruction) (api.Run, error) {
	c, err := s.temporal()
	if err != nil {
		return api.Run{}, err
	}
	said, err := workflows.Tell(r.Context(), c, r.PathValue("id"), r.PathValue("instruction"), in)
	if err != nil {
		return api.Run{}, err
	}
	out, err := s.describeRun(r.Context(), c, r.PathValue("id"))
	out.Answer = said
	return out, err
}

// describeRun tells how far a run is: what Temporal knows, and what the
// workflow itself answers.
func (s *Server) describeRun(ctx context.Context, c client.Client, id string) (api.Run, error) {
	out := api.Run{ID: id}
	d, err := c.DescribeWorkflowExecution(ctx, id, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return out, fault.New(fault.NotFound, "there is no run %q", id)
	}
	if err != nil {
		return out, fault.Wrap(fault.Transient, fmt.Errorf("ask Temporal about %s: %w", id, err))
	}
	info := d.GetWorkflowExecutionInfo()
	out.Kind = strings.ToLower(info.GetType().GetName())
	out.State = stateName(info.GetStatus())
	out.UI = workflows.RunLink(s.runs.ui, namespace, workflows.Started{ID: id, RunID: info.GetExecution().GetRunId()})
	// A worker that is away does not answer; what Temporal knows is enough.
	asked, cancel := context.WithTimeout(ctx, 2*time.Second)
	if p, err := workflows.QueryProgress(asked, c, id); err == nil {
		out.Phase, out.Done, out.Total, out.Rows, out.Barrier, out.Progress = p.Phase, p.Done, p.Total, p.Rows, p.K, &p
	}
	cancel()
	if out.State == "running" {
		return out, nil
	}
	describeOutcome(ctx, c, info.GetType().GetName(), &out)
	return out, nil
}

// describeOutcome adds what a run that has ended came to.
func describeOutcome(ctx context.Context, c client.Client, kind string, out *api.Run) {
	switch kind {
	case workflows.ReleaseType:
		out.Released = outcome[workflows.ReleaseResult](ctx, c, out)
	case workflows.ImportType:
		out.Imported = outcome[workflows.ImportResult](ctx, c, out)
	case workflows.RebuildSpeedType:
		out.Rebuilt = outcome[activities.SpeedRebuilt](ctx, c, out)
	case workflows.RestoreType:
		out.Restored = outcome[activities.Restored](ctx, c, out)
	case workflows.CanaryType:
		out.Canary = outcome[workflows.CanaryResult](ctx, c, out)
	case workflows.AuditType:
		if out.Audit = outcome[workflows.AuditResult](ctx, c, out); out.Audit != nil {
			out.Manifest, out.Barrier = out.Audit.Version, out.Audit.K
		}
	case workflows.CompactType:
		if r := outcome[workflows.Result](ctx, c, out); r != nil {
			out.Manifest, out.Barrier, out.Compacted = r.Version, r.K, r.Report.Packed
		}
	case workflows.ExpireType:
		if out.Expired = outcome[batch.Expired](ctx, c, out); out.Expired != nil {
			out.Manifest = out.Expired.Version
		}
	default:
		if r := outcome[workflows.Result](ctx, c, out); r != nil {
			out.Manifest, out.Barrier = r.Version, r.K
		}
	}
}

// outcome returns what a run came to; nil when it failed, unless it failed by
// what it found.
func outcome[T any](ctx context.Context, c client.Client, out *api.Run) *T {
	v, err := workflows.Outcome[T](ctx, c, workflows.Started{ID: out.ID})
	if err == nil {
		return &v
	}
	out.Error, out.Fault = err.Error(), fault.KindOf(err).String()
	if fault.CodeOf(err) == activities.DriftCode {
		return &v
	}
	return nil
}

func stateName(s enums.WorkflowExecutionStatus) string {
	switch s {
	case enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return "running"
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return "completed"
	case enums.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return "cancelled"
	case enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "terminated"
	case enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "timed out"
	}
	return "failed"
}

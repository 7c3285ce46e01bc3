package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"anabranch/activities"
	"anabranch/fault"
	"anabranch/internal/alert"
	"anabranch/workflows"
)

const (
	runsEvery = 5 * time.Second
	// runsLate is how much later than its end a run may turn up in Temporal's
	// list.
	runsLate = time.Minute
)

// endings looks for runs that have ended, and remembers up to when it has
// looked, also over a restart: a run that fails while this process is away is
// told of when it is back.
type endings struct {
	file  string
	saved time.Time            // Since in the file
	Since time.Time            `json:"since"`
	Seen  map[string]time.Time `json:"seen"` // the end of runs told of, as long as they are listed
}

func readEndings(dir string, now time.Time) *endings {
	e := &endings{file: filepath.Join(dir, "alerts.json")}
	if text, err := os.ReadFile(e.file); err != nil || json.Unmarshal(text, e) != nil || e.Since.IsZero() || e.Since.After(now) {
		e.Since = now
	}
	if e.Seen == nil {
		e.Seen = map[string]time.Time{}
	}
	return e
}

// next returns what of a list was not seen before, the oldest first, and
// remembers it.
func (e *endings) next(listed []*workflowpb.WorkflowExecutionInfo, now time.Time) (fresh []*workflowpb.WorkflowExecutionInfo) {
	for _, w := range listed {
		id := w.GetExecution().GetRunId()
		if _, known := e.Seen[id]; !known {
			fresh = append(fresh, w)
			e.Seen[id] = w.GetCloseTime().AsTime()
		}
	}
	slices.SortFunc(fresh, func(a, b *workflowpb.WorkflowExecutionInfo) int {
		return cmp.Compare(a.GetCloseTime().AsTime().UnixNano(), b.GetCloseTime().AsTime().UnixNano())
	})
	if late := now.Add(-runsLate); late.After(e.Since) {
		e.Since = late
	}
	for id, end := range e.Seen {
		if end.Before(e.Since) {
			delete(e.Seen, id)
		}
	}
	return fresh
}

// save keeps what next has changed, when that is worth it.
func (e *endings) save(fresh bool) error {
	if !fresh && e.Since.Sub(e.saved) < runsLate {
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.WriteFile(e.file+".new", text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(e.file+".new", e.file); err != nil {
		return err
	}
	e.saved = e.Since
	return nil
}

// watchRuns calls people for runs that ended badly. It asks Temporal, so that
// it hears of every run: of those that somebody started in the UI, and of
// those whose worker died.
func (s *Server) watchRuns(ctx context.Context) {
	e := readEndings(s.config.Dir, time.Now())
	waiting := map[alert.Key]bool{}
	looking := trouble{logger: s.config.Logger, what: "looking for runs that failed"}
	for {
		looking.see(errors.Join(s.lookForEndings(ctx, e), s.lookForWaiting(ctx, waiting)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(runsEvery):
		}
	}
}

// lookForWaiting calls people to runs in which something failed for good, or
// that want an approval. Those told of before are in told.
func (s *Server) lookForWaiting(ctx context.Context, told map[alert.Key]bool) error {
	listed, err := s.listRuns(ctx, fmt.Sprintf(`TaskQueue = %q AND ExecutionStatus = "Running" AND RunWaits IN ("retry", "approve")`, s.runs.queue))
	if err != nil || ctx.Err() != nil {
		return err
	}
	still := map[alert.Key]bool{}
	for _, w := range listed {
		var pipeline, waits string
		attributes := w.GetSearchAttributes().GetIndexedFields()
		_ = converter.GetDefaultDataConverter().FromPayload(attributes["Pipeline"], &pipeline)
		_ = converter.GetDefaultDataConverter().FromPayload(attributes["RunWaits"], &waits)
		run := workflows.Started{ID: w.GetExecution().GetWorkflowId(), RunID: w.GetExecution().GetRunId()}
		key := alert.Key{Name: alert.RunWaits, Pipeline: pipeline, Subject: run.ID + " " + waits}
		if still[key] = true; !told[key] {
			s.alerts.Raise(alert.Alert{
				Key: key, Summary: fmt.Sprintf("%s waits: %s", run.ID, waits),
				Todo: "anabranch backfill show " + run.ID, URL: workflows.RunLink(s.runs.ui, namespace, run),
			})
			told[key] = true
		}
	}
	for key := range told {
		if !still[key] {
			s.alerts.Resolve(key, key.Subject+": it waits no more")
			delete(told, key)
		}
	}
	return nil
}

// listRuns returns the runs that a query of Temporal's finds.
func (s *Server) listRuns(ctx context.Context, query string) (all []*workflowpb.WorkflowExecutionInfo, err error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, Query: query}
	for more := true; more; more = len(request.NextPageToken) > 0 {
		list, err := s.runs.client.ListWorkflow(ctx, request)
		if ctx.Err() != nil {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		all, request.NextPageToken = append(all, list.GetExecutions()...), list.GetNextPageToken()
	}
	return all, nil
}

func (s *Server) lookForEndings(ctx context.Context, e *endings) error {
	now := time.Now()
	ended, err := s.listRuns(ctx, fmt.Sprintf("TaskQueue = %q AND CloseTime >= %q", s.runs.queue, e.Since.UTC().Format(time.RFC3339Nano)))
	if err != nil || ctx.Err() != nil {
		return err
	}
	fresh := e.next(ended, now)
	for _, w := range fresh {
		s.alertRun(ctx, w)
	}
	return e.save(len(fresh) > 0)
}

// alertRun calls people when a run ended badly, and says that it is over when
// one of its kind ended well.
func (s *Server) alertRun(ctx context.Context, w *workflowpb.WorkflowExecutionInfo) {
	kind := strings.ToLower(w.GetType().GetName())
	var pipeline string
	_ = converter.GetDefaultDataConverter().FromPayload(w.GetSearchAttributes().GetIndexedFields()["Pipeline"], &pipeline) // a run that was refused has none
	key := alert.Key{Name: alert.RunFailed, Pipeline: pipeline, Subject: kind}
	run := workflows.Started{ID: w.GetExecution().GetWorkflowId(), RunID: w.GetExecution().GetRunId()}
	switch w.GetStatus() {
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		if w.GetType().GetName() == workflows.CanaryType {
			s.alertCanary(ctx, pipeline, run)
		}
		s.alerts.Resolve(key, run.ID+" ended well")
		return
	case enums.WORKFLOW_EXECUTION_STATUS_FAILED, enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
	default:
		return // cancelled: somebody wanted it
	}
	why := whyEnded(ctx, s.runs.client, run)
	if fault.Is(why, fault.Invalid) && w.GetType().GetName() != workflows.NightlyType {
		return // a mistake of whoever started it, who hears of it
	}
	s.alerts.Raise(alert.Alert{
		Key: key, Summary: fmt.Sprintf("%s %s: %s (%s)", run.ID, stateName(w.GetStatus()), why, fault.KindOf(why)),
		Todo: "see docs/runbook.md, A run failed", URL: workflows.RunLink(s.runs.ui, namespace, run),
	})
}

// alertCanary calls people when a canary was rolled back: the definition in
// force then says something that does not answer.
func (s *Server) alertCanary(ctx context.Context, pipeline string, run workflows.Started) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := workflows.Outcome[workflows.CanaryResult](ctx, s.runs.client, run)
	if err != nil {
		return
	}
	for _, v := range out.Views {
		key := alert.Key{Name: alert.RolledBack, Pipeline: pipeline, Subject: v.View}
		if v.State != workflows.CanaryRolledBack {
			s.alerts.Resolve(key, fmt.Sprintf("version %s: %s", v.Version, v.State))
			continue
		}
		s.alerts.Raise(alert.Alert{
			Key: key, Summary: fmt.Sprintf("version %s was rolled back: %s", v.Version, v.Note),
			Todo: "anabranch canary show " + run.ID + "; mend the view and apply it again", URL: workflows.RunLink(s.runs.ui, namespace, run),
		})
	}
}

func whyEnded(ctx context.Context, c client.Client, run workflows.Started) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := activities.FromTemporal(c.GetWorkflow(ctx, run.ID, run.RunID).Get(ctx, nil))
	if err == nil {
		return errors.New("unknown")
	}
	return err
}

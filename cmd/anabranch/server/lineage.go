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
	"go.temporal.io/sdk/converter"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/openlineage"
	"anabranch/internal/outbox"
	"anabranch/view"
	"anabranch/workflows"
)

// lineage tells catalogs of data what runs read and wrote. Like alerts it asks
// Temporal, not the workflows: so it hears of every run, slows none, and
// catches up after having been away.
type lineage struct {
	server    *Server
	boxes     []*outbox.Outbox
	namespace string
	file      string

	Since time.Time             `json:"since"`
	Told  map[string]toldOfARun `json:"told"` // by run, as long as it is listed
}

type toldOfARun struct {
	Ended bool      `json:"ended"`
	At    time.Time `json:"at"`
}

const (
	lineageEvery = 2 * time.Second
	// lineageQueue and lineageGiveUp: a receiver may be away for a night.
	lineageQueue  = 10_000
	lineageGiveUp = 24 * time.Hour
	// producer has to be a URI; it names the program, and is no page.
	producer = "urn:anabranch:server"
	// temporalNamespace is namespace, which is the data's here.
	temporalNamespace = namespace
)

// openLineage opens the receivers that the configuration names; nil: none.
func (s *Server) openLineage() (*lineage, error) {
	c := s.config
	if len(c.Lineage) == 0 {
		return nil, nil
	}
	l := &lineage{server: s, namespace: c.LineageNamespace, file: filepath.Join(c.Dir, "lineage.json")}
	for _, name := range c.Lineage {
		sink, err := outbox.Parse(name, c.Logger, os.Getenv)
		if err != nil {
			return nil, fmt.Errorf("--lineage: %w", err)
		}
		b := outbox.New(sink, outbox.Options{Log: c.Logger, Queue: lineageQueue, GiveUp: lineageGiveUp, Dir: s.outboxDir("lineage", name)})
		s.close = append(s.close, b.Stop)
		l.boxes = append(l.boxes, b)
	}
	if text, err := os.ReadFile(l.file); err != nil || json.Unmarshal(text, l) != nil || l.Since.IsZero() || l.Since.After(time.Now()) {
		l.Since = time.Now()
	}
	if l.Told == nil {
		l.Told = map[string]toldOfARun{}
	}
	return l, nil
}

// watch tells of runs that began and ended.
func (l *lineage) watch(ctx context.Context) {
	looking := trouble{logger: l.server.config.Logger, what: "looking for runs to tell the lineage of"}
	for {
		looking.see(l.look(ctx))
		select {
		case <-ctx.Done():
			return
		case <-time.After(lineageEvery):
		}
	}
}

func (l *lineage) look(ctx context.Context) error {
	now := time.Now()
	since := l.Since.UTC().Format(time.RFC3339Nano)
	queue := l.server.runs.queue
	running, err := l.server.listRuns(ctx, fmt.Sprintf(`TaskQueue = %q AND ExecutionStatus = "Running"`, queue))
	if err != nil || ctx.Err() != nil {
		return err
	}
	ended, err := l.server.listRuns(ctx, fmt.Sprintf("TaskQueue = %q AND CloseTime >= %q", queue, since))
	if err != nil || ctx.Err() != nil {
		return err
	}
	return l.tell(ctx, append(running, ended...), now)
}

// tell tells what of a list was not told before, and remembers it once the
// outboxes have it.
func (l *lineage) tell(ctx context.Context, listed []*workflowpb.WorkflowExecutionInfo, now time.Time) error {
	news := false
	for _, w := range listed {
		if w.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
			continue // it goes on with a fresh history, as the same run
		}
		id := runOf(w)
		was, known := l.Told[id]
		over := w.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
		if !known {
			l.send(l.server.startOf(l.namespace, w))
		}
		if over && !was.Ended {
			l.send(l.server.endOf(ctx, l.namespace, w))
		}
		if !known || over && !was.Ended {
			at := now
			if over {
				at = w.GetCloseTime().AsTime()
			}
			l.Told[id], news = toldOfARun{Ended: over, At: at}, true
		}
	}
	if late := now.Add(-runsLate); late.After(l.Since) {
		l.Since = late
	}
	for id, told := range l.Told {
		if told.Ended && told.At.Before(l.Since) {
			delete(l.Told, id)
		}
	}
	if !news {
		return nil
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(l.file+".new", l.file)
}

func (l *lineage) send(e openlineage.Event) {
	body, err := e.JSON(producer)
	if err != nil {
		l.server.config.Logger.Error("a lineage event cannot be written as JSON", "error", err)
		return
	}
	for _, b := range l.boxes {
		b.Put(outbox.Message{Text: fmt.Sprintf("lineage: %s of %s, run %s", e.Type, e.Job.Name, e.Run), Body: body})
	}
}

// runOf is the id of a run, also when it goes on with fresh histories.
func runOf(w *workflowpb.WorkflowExecutionInfo) string {
	return cmp.Or(w.GetFirstRunId(), w.GetExecution().GetRunId())
}

// about is what all events of a run say.
func (s *Server) about(namespace string, w *workflowpb.WorkflowExecutionInfo) (openlineage.Event, *pipeline) {
	var name string
	_ = converter.GetDefaultDataConverter().FromPayload(w.GetSearchAttributes().GetIndexedFields()["Pipeline"], &name) // a run that was refused has none
	kind := strings.ToLower(w.GetType().GetName())
	e := openlineage.Event{
		Run: runOf(w), Job: openlineage.Name{Namespace: namespace, Name: strings.TrimPrefix(name+"."+kind, ".")},
		RunInfo: openlineage.Facets{}, JobInfo: openlineage.Facets{},
	}
	e.RunInfo.Set("processing_engine", map[string]any{"version": cmp.Or(s.config.Code, "unknown"), "name": "anabranch"})
	e.RunInfo.Set("anabranch_run", map[string]any{"workflowId": w.GetExecution().GetWorkflowId(),
		"page": workflows.RunLink(s.runs.ui, temporalNamespace, workflows.Started{ID: w.GetExecution().GetWorkflowId(), RunID: w.GetExecution().GetRunId()})})
	e.JobInfo.Set("jobType", map[string]any{"processingType": "BATCH", "integration": "ANABRANCH", "jobType": strings.ToUpper(kind)})
	p, err := s.pipeline(name)
	if err != nil {
		return e, nil
	}
	switch w.GetType().GetName() {
	case workflows.NightlyType, workflows.BackfillType:
		e.Inputs = []openlineage.Dataset{eventsOf(namespace, p)}
	}
	return e, p
}

// eventsOf is the dataset of a pipeline's events.
func eventsOf(namespace string, p *pipeline) openlineage.Dataset {
	d := openlineage.Dataset{Name: openlineage.Name{Namespace: namespace, Name: p.def.Name + ".events"}, Facets: openlineage.Facets{}}
	d.Facets.Schema(fieldsOf(p.def.Schema.Shape()))
	return d
}

func fieldsOf(shape *event.Shape) (out []openlineage.Field) {
	for _, f := range shape.Fields {
		out = append(out, openlineage.Field{Name: f.Name, Type: f.Type.SQL()})
	}
	return out
}

func (s *Server) startOf(namespace string, w *workflowpb.WorkflowExecutionInfo) openlineage.Event {
	e, p := s.about(namespace, w)
	e.Type, e.Time = openlineage.Start, w.GetStartTime().AsTime()
	if p != nil && len(e.Inputs) > 0 {
		for _, v := range p.views {
			e.Outputs = append(e.Outputs, viewOf(namespace, p, v))
		}
	}
	return e
}

func (s *Server) endOf(ctx context.Context, namespace string, w *workflowpb.WorkflowExecutionInfo) openlineage.Event {
	e, p := s.about(namespace, w)
	e.Time = w.GetCloseTime().AsTime()
	run := workflows.Started{ID: w.GetExecution().GetWorkflowId(), RunID: w.GetExecution().GetRunId()}
	switch w.GetStatus() {
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		e.Type = openlineage.Complete
		if p != nil && len(e.Inputs) > 0 {
			e.Outputs = s.published(ctx, namespace, p, run)
		}
		return e
	case enums.WORKFLOW_EXECUTION_STATUS_CANCELED:
		e.Type = openlineage.Abort
		return e
	}
	e.Type = openlineage.Fail
	why := errors.New(stateName(w.GetStatus()))
	if s.runs.client != nil {
		why = whyEnded(ctx, s.runs.client, run)
	}
	e.RunInfo.Set("errorMessage", map[string]any{"message": fmt.Sprintf("%s (%s)", why, fault.KindOf(why)), "programmingLanguage": "Go"})
	return e
}

// published returns the views that a run has published.
func (s *Server) published(ctx context.Context, namespace string, p *pipeline, run workflows.Started) []openlineage.Dataset {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var result workflows.Result
	if err := s.runs.client.GetWorkflow(ctx, run.ID, run.RunID).Get(ctx, &result); err != nil || result.Version == 0 {
		return nil
	}
	m, err := p.archive.Manifest(ctx, result.Version)
	if err != nil {
		s.config.Logger.Warn("the lineage of a run is told without what it published", "run", run.ID, "error", err)
		return nil
	}
	return outputs(namespace, p, m)
}

// outputs returns the views of a manifest as they are answered.
func outputs(namespace string, p *pipeline, m *archive.Manifest) (out []openlineage.Dataset) {
	for _, declared := range p.views {
		_, files := m.Answers(declared.Name())
		if files == nil {
			continue
		}
		v := archive.FindVersion(declared.Name(), files.Version, p.views, p.older)
		if v == nil {
			continue // of a definition that is no more
		}
		d := viewOf(namespace, p, v)
		d.Facets.Set("version", map[string]any{"datasetVersion": fmt.Sprintf("%d", m.Version)})
		var rows, size int64
		for _, f := range files.Results {
			rows, size = rows+f.Rows, size+f.Size
		}
		d.Output = openlineage.Facets{}
		d.Output.Set("outputStatistics", map[string]any{"rowCount": rows, "size": size, "fileCount": len(files.Results)})
		out = append(out, d)
	}
	return out
}

// ways are the transformations of OpenLineage.
var ways = map[view.Way]openlineage.Transformation{
	view.Identity:       {Type: "DIRECT", Subtype: "IDENTITY"},
	view.Transformation: {Type: "DIRECT", Subtype: "TRANSFORMATION"},
	view.Aggregation:    {Type: "DIRECT", Subtype: "AGGREGATION"},
	view.Conditional:    {Type: "INDIRECT", Subtype: "CONDITIONAL"},
	view.Filter:         {Type: "INDIRECT", Subtype: "FILTER"},
	view.Sort:           {Type: "INDIRECT", Subtype: "SORT"},
}

// viewOf is the dataset of a view: its columns, and where they come from.
func viewOf(namespace string, p *pipeline, v *view.View) openlineage.Dataset {
	d := openlineage.Dataset{Name: openlineage.Name{Namespace: namespace, Name: p.def.Name + "." + archive.ViewOf(v.Name())}, Facets: openlineage.Facets{}}
	d.Facets.Schema(fieldsOf(v.Output()))
	events := openlineage.Name{Namespace: namespace, Name: p.def.Name + ".events"}
	field := func(name string, t openlineage.Transformation) openlineage.InputField {
		return openlineage.InputField{Name: events, Field: name, Transformations: []openlineage.Transformation{t}}
	}
	l := v.Lineage()
	columns := map[string][]openlineage.InputField{}
	for _, c := range l.Columns {
		columns[c.Column] = nil
		for _, in := range c.Inputs {
			columns[c.Column] = append(columns[c.Column], field(in.Field, ways[in.Way]))
		}
	}
	var all []openlineage.InputField
	for _, name := range l.Filters {
		all = append(all, field(name, openlineage.Transformation{Type: "INDIRECT", Subtype: "FILTER"}))
	}
	for _, name := range l.Groups {
		all = append(all, field(name, openlineage.Transformation{Type: "INDIRECT", Subtype: "GROUP_BY"}))
	}
	for _, rule := range p.filters {
		for _, name := range rule.Predicate.Inputs() {
			if f := field(name, openlineage.Transformation{Type: "INDIRECT", Subtype: "FILTER"}); !slices.ContainsFunc(all, func(o openlineage.InputField) bool {
				return o.Field == name && o.Transformations[0] == f.Transformations[0]
			}) {
				all = append(all, f)
			}
		}
	}
	d.Facets.ColumnLineage(columns, all)
	return d
}

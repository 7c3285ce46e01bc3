package workflows

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/ingest"
)

// ImportType is the name of the workflow type.
const ImportType = "Import"

// ImportInput starts an import: the files of a folder or bucket come in as any
// event does, one after the other in the order of their names.
type ImportInput struct {
	Pipeline string `json:"pipeline"`
	From     string `json:"from"`              // file:///folder or s3://bucket/prefix?endpoint=URL&region=NAME
	Format   string `json:"format,omitempty"`  // parquet, csv or ndjson, of all files; empty: as their names tell
	DryRun   bool   `json:"dry_run,omitempty"` // judge all events, take none
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// Key tells imports apart: two starts with one key are one import.
	Key string `json:"key,omitempty"`
	// Resume is filled in when a long import continues with a fresh history.
	Resume *ImportResume `json:"resume,omitempty"`
}

// ImportResume is how far an import is.
type ImportResume struct {
	Next    int                   `json:"next"` // the first file that was not begun
	List    activities.ImportList `json:"list"`
	Started time.Time             `json:"started"`
	Paused  bool                  `json:"paused,omitempty"`
	Acts    []Act                 `json:"acts,omitempty"`
	Failed  []Failed              `json:"failed,omitempty"` // files, the first ones
	Result  ImportResult          `json:"result"`
}

// ImportResult is what an import came to.
type ImportResult struct {
	Files        int   `json:"files"`
	FailedFiles  int   `json:"failed_files,omitempty"`
	Rows         int64 `json:"rows"`
	Accepted     int64 `json:"accepted"` // durable in the log; copies of known events are among them
	DeadLettered int64 `json:"dead_lettered"`
	DryRun       bool  `json:"dry_run,omitempty"`
	// Refused are some of the events that became dead letters, or would.
	Refused []ImportRefused `json:"refused,omitempty"`
	Passed  []string        `json:"passed,omitempty"` // some files whose names do not tell a format
	// Positions are of the last events in each partition, for a query that
	// shall see them.
	Positions []string `json:"positions,omitempty"`
}

// ImportRefused is one event that was refused.
type ImportRefused struct {
	File string `json:"file"`
	ingest.EventError
}

const (
	filesPerHistory = 300
	maxRefused      = 20
	maxFailedFiles  = 20
)

// importing is one import.
type importing struct {
	in     ImportInput
	s      *ImportResume
	phase  string
	ended  bool
	cancel workflow.CancelFunc
}

// Import is the workflow.
func Import(ctx workflow.Context, in ImportInput) (ImportResult, error) {
	ctx, cancel := workflow.WithCancel(ctx)
	r := &importing{in: in, s: in.Resume, phase: "list", cancel: cancel}
	if r.s == nil {
		r.s = &ImportResume{Started: workflow.Now(ctx), Result: ImportResult{DryRun: in.DryRun}}
		if err := workflow.UpsertTypedSearchAttributes(ctx, attrPipeline.ValueSet(in.Pipeline), attrKind.ValueSet("import")); err != nil {
			return r.s.Result, err
		}
	}
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Progress, error) { return r.progress(), nil }); err != nil {
		return r.s.Result, err
	}
	if err := r.listen(ctx); err != nil {
		return r.s.Result, err
	}
	err := r.run(ctx)
	if workflow.IsContinueAsNewError(err) {
		return r.s.Result, err
	}
	r.ended = true
	switch {
	case err == nil:
		r.phase = phaseDone
	case temporal.IsCanceledError(err):
		r.phase = phaseCancelled
	default:
		r.phase = phaseFailed
	}
	workflow.SetCurrentDetails(ctx, r.table())
	return r.s.Result, err
}

func (r *importing) run(ctx workflow.Context) error {
	run := workflow.GetInfo(ctx).WorkflowExecution.ID
	workflow.SetCurrentDetails(ctx, r.table())
	if r.s.List.Files == 0 {
		err := workflow.ExecuteActivity(long(ctx, "which files"), steps.ImportList,
			activities.ImportFiles{Pipeline: r.in.Pipeline, Run: run, From: r.in.From, Format: r.in.Format}).Get(ctx, &r.s.List)
		if err != nil {
			return err
		}
		r.s.Result.Passed = r.s.List.Passed
	}
	r.phase = "import"
	for begun := 0; r.s.Next < r.s.List.Files; begun++ {
		workflow.SetCurrentDetails(ctx, r.table())
		if err := workflow.Await(ctx, func() bool { return !r.s.Paused }); err != nil {
			return err
		}
		if begun == filesPerHistory {
			r.in.Resume = r.s
			return workflow.NewContinueAsNewError(ctx, ImportType, r.in)
		}
		n := r.s.Next
		var done ingest.Imported
		err := workflow.ExecuteActivity(long(ctx, fmt.Sprintf("file %d of %d", n+1, r.s.List.Files)), steps.ImportFile,
			activities.ImportFile{Pipeline: r.in.Pipeline, Run: run, From: r.in.From, N: n, DryRun: r.in.DryRun}).Get(ctx, &done)
		switch {
		case err == nil:
			r.s.Result.add(done)
		case temporal.IsCanceledError(err) || ctx.Err() != nil:
			return err
		default: // a file that cannot be read keeps nobody from the others
			kind, said := activities.Said(err)
			r.s.Result.FailedFiles++
			if len(r.s.Failed) < maxFailedFiles {
				said = strings.ToValidUTF8(said[:min(len(said), longError)], "")
				r.s.Failed = append(r.s.Failed, Failed{Phase: r.phase, Unit: n, Label: fmt.Sprintf("file %d", n+1), Kind: kind.String(), Error: said, At: workflow.Now(ctx)})
			}
		}
		r.s.Next++
	}
	if f := r.s.Failed; len(f) > 0 {
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("%d of %d files could not be imported, the others are; the first: %s", r.s.Result.FailedFiles, r.s.List.Files, f[0].Error), f[0].Kind, nil)
	}
	return nil
}

func (r *ImportResult) add(f ingest.Imported) {
	r.Files++
	r.Rows += f.Rows
	r.Accepted += f.Accepted
	r.DeadLettered += f.DeadLettered
	for _, e := range f.Refused[:min(len(f.Refused), maxRefused-len(r.Refused))] {
		r.Refused = append(r.Refused, ImportRefused{f.Name, e})
	}
	r.Positions = ingest.Latest(r.Positions, f.Positions)
}

// listen takes the instructions that make sense for an import.
func (r *importing) listen(ctx workflow.Context) error {
	for _, s := range []struct {
		name string
		do   func()
	}{
		{PauseUpdate, func() { r.s.Paused = true }},
		{ResumeUpdate, func() { r.s.Paused = false }},
		{CancelUpdate, func() { r.cancel() }},
	} {
		check := func(_ workflow.Context, in Instruction) error {
			switch {
			case r.ended:
				return refused("the import has ended: %s", r.phase)
			case strings.TrimSpace(in.By) == "" || strings.TrimSpace(in.Reason) == "":
				return invalid(`%s: who says so, and why? give JSON like {"by":"ana","reason":"..."}`, s.name)
			}
			return nil
		}
		err := workflow.SetUpdateHandlerWithOptions(ctx, s.name, func(ctx workflow.Context, in Instruction) (string, error) {
			r.s.Acts = append(r.s.Acts, Act{At: workflow.Now(ctx), Do: s.name, Instruction: in})
			r.s.Acts = r.s.Acts[max(0, len(r.s.Acts)-keptActs):]
			s.do()
			workflow.SetCurrentDetails(ctx, r.table())
			return r.state(), nil
		}, workflow.UpdateHandlerOptions{Validator: check})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *importing) state() string {
	switch {
	case r.ended:
		return r.phase
	case r.s.Paused:
		return "paused, or about to be: a file that was begun is brought to its end"
	}
	return "running"
}

func (r *importing) progress() Progress {
	p := Progress{Pipeline: r.in.Pipeline, Kind: "import", Phase: r.phase, Done: r.s.Next, Total: r.s.List.Files, Rows: r.s.Result.Rows, Started: r.s.Started, Attempt: 1,
		State: r.state(), Failed: r.s.Failed, Acts: r.s.Acts}
	if r.s.Paused && !r.ended {
		p.Waits = waitsResume
	}
	return p
}

// table shows how far an import is, as Markdown.
func (r *importing) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Import into %s\n\n**%s**, %s\n\nfrom %s\n\n", cell(r.in.Pipeline), r.phase, r.state(), cell(r.in.From))
	if r.in.DryRun {
		b.WriteString("A dry run: no event is taken.\n\n")
	}
	d := r.s.Result
	fmt.Fprintf(&b, "| files | of | rows | accepted | dead letters |\n| --- | --- | --- | --- | --- |\n| %d | %d | %d | %d | %d |\n", r.s.Next, r.s.List.Files, d.Rows, d.Accepted, d.DeadLettered)
	if len(d.Refused) > 0 {
		b.WriteString("\n| refused in | row | code | why |\n| --- | --- | --- | --- |\n")
	}
	for _, e := range d.Refused {
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", cell(e.File), e.Line, cell(e.Code), cell(e.Message))
	}
	for _, f := range r.s.Failed {
		fmt.Fprintf(&b, "\n%s failed (%s): %s\n", f.Label, f.Kind, cell(f.Error))
	}
	for _, p := range d.Passed {
		fmt.Fprintf(&b, "\n%s was passed over: its name does not tell a format\n", cell(p))
	}
	return b.String()
}

// StartImport starts an import, or joins the one with the same key.
func StartImport(ctx context.Context, c client.Client, queue string, in ImportInput, now time.Time) (Started, error) {
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "import", ImportType, &in, fmt.Sprintf("import into %s from %s", in.Pipeline, in.From), now)
}

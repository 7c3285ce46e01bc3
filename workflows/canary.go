package workflows

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/fault"
)

// CanaryType is the name of the workflow type.
const CanaryType = "Canary"

// PublishedSignal tells a canary that a version was published: it compares at
// once.
const PublishedSignal = "published"

// CanaryInput starts a canary: changed views are computed beside the ones that
// answer, answer a share of the queries, are compared all the while, and take
// over or are rolled back.
type CanaryInput struct {
	Pipeline   string       `json:"pipeline"`
	Definition string       `json:"definition,omitempty"` // version of the definition that declares them
	Views      []CanaryView `json:"views"`
	Share      float64      `json:"share"`                 // percent of the queries
	Within     float64      `json:"within"`                // what may differ at most, as a share of 1
	Every      string       `json:"every,omitempty"`       // how often they are compared, like 5m
	For        string       `json:"for,omitempty"`         // how long they have to be within the bound, like 1h
	Compare    int          `json:"comparisons,omitempty"` // and in how many comparisons
	Reason     string       `json:"reason,omitempty"`
	By         string       `json:"by,omitempty"`
	Key        string       `json:"key,omitempty"` // two starts with one key are one canary
	// Resume is filled in when a long canary continues with a fresh history.
	Resume *CanaryResume `json:"resume,omitempty"`
}

// CanaryView names the version that is judged.
type CanaryView struct {
	View    string `json:"view"`
	Version string `json:"version"`
}

// CanaryResume is what a canary knows.
type CanaryResume struct {
	Started time.Time     `json:"started"`
	Builds  int           `json:"builds"`
	Looks   int           `json:"looks"` // rounds of comparisons
	Views   []CanaryState `json:"views"`
	Acts    []Act         `json:"acts,omitempty"`
}

// CanaryState is how one version stands.
type CanaryState struct {
	CanaryView
	State  string    `json:"state"`           // one of the words below
	Share  float64   `json:"share"`           // percent of the queries that it answers
	Since  time.Time `json:"since,omitzero"`  // within the bound, in all comparisons
	Within int       `json:"within"`          // comparisons in a row
	Note   string    `json:"note,omitempty"`  // why it is decided
	Order  *Act      `json:"order,omitempty"` // what somebody decided
	// Last is the last comparison.
	Last *batch.Judgement `json:"last,omitempty"`
}

// The states of a version.
const (
	CanaryWaits      = "waits"       // it is not computed yet
	CanaryWatched    = "watched"     // it is compared
	CanaryPromoted   = "promoted"    // it answers
	CanaryRolledBack = "rolled back" // the version of before answers, as it did
	CanaryGone       = "gone"        // a newer definition has taken its place
)

func (s *CanaryState) decided() bool { return s.State != CanaryWaits && s.State != CanaryWatched }

// CanaryResult is what a canary came to.
type CanaryResult struct {
	Views      []CanaryState `json:"views"`
	RolledBack []string      `json:"rolled_back,omitempty"`
	Looks      int           `json:"looks"`
}

// The Updates of a canary.
const (
	PromoteUpdate  = "promote"  // have it answer now
	RollBackUpdate = "rollback" // end it; the version of before answers
)

const (
	looksPerHistory = 100
	maxBuilds       = 3
	canaryExample   = `{"pipeline":"retail","views":[{"view":"day","version":"1f8be302cc16a94d"}],"share":10,"within":0.01,"every":"5m","for":"1h","comparisons":3,"reason":"net of returns","by":"ana"}`
)

type canary struct {
	CanaryInput
	s           *CanaryResume
	every, stay time.Duration
	phase       string
	note        string
	poked       bool
}

// Canary judges changed views. Its argument is a CanaryInput, taken raw as in
// Nightly. However it ends, no view is left with a share of the queries.
func Canary(ctx workflow.Context, raw converter.RawValue) (CanaryResult, error) {
	c := &canary{}
	if err := c.read(raw); err != nil {
		return CanaryResult{}, err
	}
	if err := c.setup(ctx); err != nil {
		return CanaryResult{}, err
	}
	err := c.judge(ctx)
	if workflow.IsContinueAsNewError(err) {
		return CanaryResult{}, err
	}
	if err != nil {
		c.retreat(ctx, err)
		c.enter(ctx, map[bool]string{true: phaseCancelled, false: phaseFailed}[temporal.IsCanceledError(err)])
		return CanaryResult{}, err
	}
	out := CanaryResult{Looks: c.s.Looks}
	var said []string
	for _, v := range c.s.Views {
		if v.State == CanaryRolledBack {
			out.RolledBack = append(out.RolledBack, v.View)
		}
		said = append(said, v.sentence())
		if v.Last != nil {
			last := *v.Last
			last.Markdown = ""
			v.Last = &last
		}
		out.Views = append(out.Views, v)
	}
	c.note = strings.Join(said, "; ")
	c.enter(ctx, phaseDone)
	return out, nil
}

func (s *CanaryState) sentence() string {
	out := fmt.Sprintf("view %s: %s", s.View, s.State)
	if s.Note != "" {
		out += ": " + s.Note
	}
	return out
}

// read reads and checks the input.
func (c *canary) read(raw converter.RawValue) error {
	if err := decodeJSON(raw, &c.CanaryInput, canaryExample); err != nil {
		return err
	}
	var err error
	if c.every, err = time.ParseDuration(orElse(c.Every, "5m")); err != nil || c.every <= 0 {
		return invalid("every %q: want a time like 5m", c.Every)
	}
	if c.stay, err = time.ParseDuration(orElse(c.For, "0s")); err != nil || c.stay < 0 {
		return invalid("for %q: want a time like 1h", c.For)
	}
	switch {
	case c.Pipeline == "" || len(c.Views) == 0:
		return invalid("pipeline or views are missing: give JSON like %s", canaryExample)
	case !(c.Share > 0 && c.Share <= 100):
		return invalid("share %g: want percent of the queries, more than 0, up to 100", c.Share)
	case !(c.Within >= 0 && c.Within <= 1):
		return invalid("within %g: want a share from 0 to 1", c.Within)
	}
	c.Compare = max(c.Compare, 1)
	return nil
}

func (c *canary) names() string {
	var names []string
	for _, v := range c.Views {
		names = append(names, v.View)
	}
	return strings.Join(names, ", ")
}

func (c *canary) setup(ctx workflow.Context) error {
	if c.s = c.Resume; c.s == nil {
		c.s = &CanaryResume{Started: workflow.Now(ctx)}
		for _, v := range c.Views {
			c.s.Views = append(c.s.Views, CanaryState{CanaryView: v, State: CanaryWaits})
		}
		if err := workflow.UpsertTypedSearchAttributes(ctx, attrPipeline.ValueSet(c.Pipeline), attrView.ValueSet(c.names()), attrKind.ValueSet("canary")); err != nil {
			return err
		}
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			workflow.GetSignalChannel(ctx, PublishedSignal).Receive(ctx, nil)
			if ctx.Err() != nil {
				return
			}
			c.poked = true
		}
	})
	for _, u := range [][2]string{
		{PromoteUpdate, `Have it answer now, whatever the comparison says. {"by":"ana","reason":"as asked for","view":"day"}`},
		{RollBackUpdate, `End it: the version of before goes on answering. {"by":"ana","reason":"returns are missing"}`},
	} {
		if err := c.listen(ctx, u[0], u[1]); err != nil {
			return err
		}
	}
	return workflow.SetQueryHandlerWithOptions(ctx, ProgressQuery, func() (Progress, error) { return c.progress(), nil },
		workflow.QueryHandlerOptions{Description: "How it stands, as JSON."})
}

// listen takes one kind of instruction.
func (c *canary) listen(ctx workflow.Context, name, description string) error {
	check := func(_ workflow.Context, in Instruction) error {
		switch {
		case strings.TrimSpace(in.By) == "":
			return invalid(`%s: who says so? give JSON like {"by":"ana","reason":"..."}`, name)
		case strings.TrimSpace(in.Reason) == "":
			return invalid(`%s: why? give JSON like {"by":%q,"reason":"..."}`, name, in.By)
		case in.View != "" && !slices.ContainsFunc(c.Views, func(v CanaryView) bool { return v.View == in.View }):
			return invalid("%s: this canary has no view %q: it has %s", name, in.View, c.names())
		case len(c.about(in.View)) == 0:
			return refused("nothing is left to decide: %s", orElse(c.note, c.phase))
		case name == PromoteUpdate && slices.ContainsFunc(c.about(in.View), func(s *CanaryState) bool { return s.State == CanaryWaits }):
			return refused("it is not computed yet: there is nothing to promote")
		}
		return nil
	}
	do := func(ctx workflow.Context, in Instruction) (string, error) {
		act := Act{At: workflow.Now(ctx), Do: name, Instruction: in}
		acts := append(c.s.Acts, act)
		c.s.Acts = acts[max(0, len(acts)-keptActs):]
		for _, s := range c.about(in.View) {
			s.Order = &act
		}
		c.poked = true
		c.show(ctx)
		return map[string]string{PromoteUpdate: "is being promoted", RollBackUpdate: "is being rolled back"}[name], nil
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, name, do, workflow.UpdateHandlerOptions{Validator: check, Description: description})
}

// about returns the undecided versions of a view; of all when it is empty.
func (c *canary) about(view string) (out []*CanaryState) {
	for i := range c.s.Views {
		if s := &c.s.Views[i]; !s.decided() && s.Order == nil && (view == "" || s.View == view) {
			out = append(out, s)
		}
	}
	return out
}

func (c *canary) undecided() bool {
	return slices.ContainsFunc(c.s.Views, func(s CanaryState) bool { return !s.decided() })
}

// judge computes, compares and decides until all is decided.
func (c *canary) judge(ctx workflow.Context) error {
	for looks := 0; ; looks++ {
		c.poked = false
		if err := c.look(ctx); err != nil {
			return err
		}
		if !c.undecided() {
			return nil
		}
		if looks >= looksPerHistory {
			c.Resume = c.s
			return workflow.NewContinueAsNewError(ctx, CanaryType, c.CanaryInput)
		}
		c.enter(ctx, "watch")
		if _, err := workflow.AwaitWithTimeout(ctx, c.every, func() bool { return c.poked }); err != nil {
			return err
		}
	}
}

// look compares every undecided version once and decides.
func (c *canary) look(ctx workflow.Context) error {
	c.s.Looks++
	for i := range c.s.Views {
		s := &c.s.Views[i]
		if s.decided() {
			continue
		}
		if s.Order != nil {
			if err := c.follow(ctx, s); err != nil {
				return err
			}
			continue
		}
		c.enter(ctx, "compare")
		j, err := c.compare(ctx, s)
		if err != nil {
			return err
		}
		if j.State == batch.Unbuilt {
			if c.s.Builds >= maxBuilds {
				return activities.Ended(fault.New(fault.Bug, "view %s: version %s was computed %d times and is not there", s.View, s.Version, c.s.Builds))
			}
			if err := c.build(ctx); err != nil {
				return err
			}
			if j, err = c.compare(ctx, s); err != nil {
				return err
			}
			if j.State == batch.Unbuilt { // a rollback, or a definition just applied, came between
				c.poked = true
				continue
			}
		}
		if err := c.decide(ctx, s, j); err != nil {
			return err
		}
	}
	return nil
}

func (c *canary) of(s *CanaryState) activities.OfVersion {
	return activities.OfVersion{Pipeline: c.Pipeline, View: s.View, Version: s.Version, Within: c.Within, By: "canary"}
}

func (c *canary) compare(ctx workflow.Context, s *CanaryState) (j batch.Judgement, err error) {
	err = workflow.ExecuteActivity(long(ctx, "compare view "+s.View), steps.JudgeVersion, c.of(s)).Get(ctx, &j)
	return j, err
}

// build computes what is not there, in a backfill of its own.
func (c *canary) build(ctx workflow.Context) error {
	c.enter(ctx, "compute")
	c.s.Builds++
	id := fmt.Sprintf("build-%s-%s-%d", c.Pipeline, safe(orElse(c.Key, workflow.GetInfo(ctx).WorkflowExecution.RunID)), c.s.Builds)
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, ParentClosePolicy: enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL, WaitForCancellation: true,
		StaticSummary: fmt.Sprintf("computes changed views of %s beside those that answer", c.Pipeline),
	})
	var out Result
	return workflow.ExecuteChildWorkflow(child, BackfillType, BackfillInput{
		Pipeline: c.Pipeline, Build: true, Hold: true, Definition: c.Definition, Reason: orElse(c.Reason, "canary"), By: c.By,
	}).Get(child, &out)
}

// decide does what a comparison asks for.
func (c *canary) decide(ctx workflow.Context, s *CanaryState, j batch.Judgement) error {
	s.Last = &j
	switch {
	case j.State == batch.Answers:
		s.State, s.Note = CanaryPromoted, "by somebody else"
	case j.State == batch.Gone:
		s.State, s.Note = CanaryGone, "a newer definition was applied"
	case s.Order != nil:
		return c.follow(ctx, s)
	case j.Beyond != "":
		return c.rollBack(ctx, s, j.Beyond, "canary")
	default:
		if s.State = CanaryWatched; s.Within == 0 {
			s.Since = workflow.Now(ctx)
		}
		s.Within++
		stood := workflow.Now(ctx).Sub(s.Since)
		if s.Share > 0 && s.Within >= c.Compare && stood >= c.stay {
			return c.promote(ctx, s, fmt.Sprintf("within %g %% in %d comparisons over %s", c.Within*100, s.Within, stood.Round(time.Second)), "canary")
		}
		if s.Share == 0 {
			return c.share(ctx, s)
		}
	}
	return nil
}

// follow does what somebody decided.
func (c *canary) follow(ctx workflow.Context, s *CanaryState) error {
	if s.Order.Do == PromoteUpdate {
		return c.promote(ctx, s, s.Order.Reason, s.Order.By)
	}
	return c.rollBack(ctx, s, s.Order.Reason, s.Order.By)
}

func (c *canary) share(ctx workflow.Context, s *CanaryState) error {
	of := c.of(s)
	of.Percent, of.Reason, of.By = c.Share, orElse(c.Reason, "canary"), orElse(c.By, "canary")
	err := workflow.ExecuteActivity(quick(ctx, fmt.Sprintf("view %s: %g %% of the queries", s.View, c.Share)), steps.ShareVersion, of).Get(ctx, nil)
	if activities.IsConflict(err) {
		return nil // the next comparison says why
	}
	if err == nil {
		s.Share = c.Share
	}
	return err
}

func (c *canary) promote(ctx workflow.Context, s *CanaryState, why, by string) error {
	of := c.of(s)
	of.Reason, of.By = "canary promoted: "+why, by
	if err := workflow.ExecuteActivity(final(ctx, "view "+s.View+": promote"), steps.PromoteVersion, of).Get(ctx, nil); err != nil {
		return err
	}
	s.State, s.Share, s.Note = CanaryPromoted, 100, why
	c.show(ctx)
	return nil
}

func (c *canary) rollBack(ctx workflow.Context, s *CanaryState, why, by string) error {
	if s.Share > 0 {
		of := c.of(s)
		of.Reason, of.By = "canary rolled back: "+why, by
		if err := workflow.ExecuteActivity(final(ctx, "view "+s.View+": roll back"), steps.ShareVersion, of).Get(ctx, nil); err != nil {
			return err
		}
	}
	s.State, s.Share, s.Note = CanaryRolledBack, 0, why
	c.show(ctx)
	return nil
}

// retreat takes every share back that an end in the middle would leave.
func (c *canary) retreat(ctx workflow.Context, why error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_, said := activities.Said(why)
	c.note = said
	for i := range c.s.Views {
		s := &c.s.Views[i]
		if s.decided() {
			continue
		}
		if err := c.rollBack(ctx, s, said, "canary"); err != nil {
			workflow.GetLogger(ctx).Error("a canary ended and its share of the queries could not be taken back", "pipeline", c.Pipeline, "view", s.View, "error", err)
		}
	}
}

func (c *canary) enter(ctx workflow.Context, phase string) {
	c.phase = phase
	c.show(ctx)
}

func (c *canary) show(ctx workflow.Context) { workflow.SetCurrentDetails(ctx, c.table()) }

func (c *canary) progress() Progress {
	p := Progress{
		Pipeline: c.Pipeline, Kind: "canary", View: c.names(), Phase: c.phase, Started: c.s.Started, Attempt: 1, Note: c.note, State: "running",
		Total: len(c.s.Views), Acts: c.s.Acts, Canary: slices.Clone(c.s.Views),
	}
	for _, v := range c.s.Views {
		if v.decided() {
			p.Done++
		}
	}
	return p
}

// table shows how it stands, as Markdown.
func (c *canary) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Canary of %s\n\n**%s**", cell(c.Pipeline), c.phase)
	if c.note != "" {
		fmt.Fprintf(&b, ": %s", cell(c.note))
	}
	fmt.Fprintf(&b, "\n\n%g %% of the queries; rolled back beyond %g %%; promoted after %s and %d comparisons within it, every %s and after each publication.\n\n", c.Share, c.Within*100, c.stay, c.Compare, c.every)
	b.WriteString("| view | version | stands | queries | within, in a row | groups | differ | why |\n|---|---|---|---:|---:|---:|---:|---|\n")
	for _, v := range c.s.Views {
		groups, differ := "", ""
		if j := v.Last; j != nil && j.State == batch.Held {
			groups, differ = fmt.Sprint(j.Groups), fmt.Sprint(j.Changed+j.Added+j.Removed)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %g %% | %d | %s | %s | %s |\n", cell(v.View), v.Version, v.State, v.Share, v.Within, groups, differ, cell(v.Note))
	}
	fmt.Fprintf(&b, "\nAsked for by %s: %s\n", orElse(cell(c.By), "?"), orElse(cell(c.Reason), "not said"))
	for _, a := range c.s.Acts {
		fmt.Fprintf(&b, "\n- %s %s", a.At.UTC().Format(time.RFC3339), cell(a.String()))
	}
	if c.undecided() {
		b.WriteString("\nSend the update `promote` or `rollback` with `{\"by\":\"\",\"reason\":\"\",\"view\":\"\"}` to decide by hand.\n")
	}
	for _, v := range c.s.Views {
		if j := v.Last; j != nil && j.Markdown != "" {
			fmt.Fprintf(&b, "\n#### %s, in version %d", cell(v.View), j.Manifest)
			if j.At != "" {
				fmt.Fprintf(&b, " and the log up to %s", cell(j.At))
			}
			fmt.Fprintf(&b, "\n\n%s", j.Markdown)
			if j.Note != "" {
				fmt.Fprintf(&b, "\n%s\n", cell(j.Note))
			}
		}
	}
	return b.String()
}

// StartCanary starts a canary, or joins the one with the same key.
func StartCanary(ctx context.Context, c client.Client, queue string, in CanaryInput, now time.Time) (Started, error) {
	if in.Key == "" {
		in.Key = stamp(now)
	}
	if err := plainName("pipeline", in.Pipeline); err != nil {
		return Started{}, err
	}
	id := fmt.Sprintf("canary-%s-%s", in.Pipeline, safe(in.Key))
	return start(ctx, c, queue, id, CanaryType, in, fmt.Sprintf("canary of %s, %g %% of the queries", in.Pipeline, in.Share), in.Reason, in.By)
}

// AwaitCanary waits for what a canary comes to.
func AwaitCanary(ctx context.Context, c client.Client, s Started) (CanaryResult, error) {
	var out CanaryResult
	if err := c.GetWorkflow(ctx, s.ID, s.RunID).Get(ctx, &out); err != nil {
		return out, ofRun(err)
	}
	return out, nil
}

// PokeCanary tells a canary that a version was published. One that has ended
// does not mind.
func PokeCanary(ctx context.Context, c client.Client, id string) error {
	if err := ofServer(c.SignalWorkflow(ctx, id, "", PublishedSignal, nil)); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("tell %s of a new version: %w", id, err)
	}
	return nil
}

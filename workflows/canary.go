package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/fault"
)

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

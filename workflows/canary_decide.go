package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/batch"
)

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

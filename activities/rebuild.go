package activities

import (
	"context"

	"anabranch/fault"
)

// SpeedRebuilt is what a rebuild of the speed layer came to.
type SpeedRebuilt struct {
	From    string           `json:"from"` // the cut where it began
	To      string           `json:"to"`   // the end of the log then
	Equal   bool             `json:"equal"`
	Checked string           `json:"checked"`         // how it was compared
	At      string           `json:"at,omitempty"`    // where it was compared
	Events  int64            `json:"events"`          // it was compared with
	Views   map[string]int64 `json:"views,omitempty"` // rows that differ
	Seconds float64          `json:"seconds"`
}

// SpeedRebuild names the pipeline whose speed layer is built anew.
type SpeedRebuild struct {
	Pipeline string `json:"pipeline"`
}

// BuildSpeed throws a pipeline's speed states away, folds them again from
// archive and log, and compares all views with the raw events.
func (a *Activities) BuildSpeed(ctx context.Context, in SpeedRebuild) (SpeedRebuilt, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, _ Runner) (SpeedRebuilt, error) {
		if a.RebuildSpeed == nil {
			return SpeedRebuilt{}, fault.New(fault.Transient, "this worker has no speed layer; another may")
		}
		return a.RebuildSpeed(ctx, in.Pipeline)
	})
}

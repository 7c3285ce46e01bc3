package activities

import (
	"context"

	"anabranch/fault"
)

// Restore asks for the events of a pipeline as of then in another pipeline.
type Restore struct {
	Pipeline string `json:"pipeline"`
	Into     string `json:"into"`
	AsOf     string `json:"as_of"`
}

// Restored is what a restore has put into its pipeline.
type Restored struct {
	Pipeline string `json:"pipeline"`
	Into     string `json:"into"`
	Cut      string `json:"cut"` // of Pipeline: everything below was put in
	Events   int64  `json:"events"`
	Frames   int64  `json:"frames"`
	Version  uint64 `json:"version,omitempty"` // of Into, once a batch has published it
}

// PutBack makes the pipeline Into, if it is not there, and appends the events
// to it. Done again, it appends them again: they are copies then.
func (a *Activities) PutBack(ctx context.Context, in Restore) (Restored, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, _ Runner) (Restored, error) {
		if a.Restore == nil {
			return Restored{}, fault.New(fault.Transient, "this worker cannot make pipelines; another may")
		}
		return a.Restore(ctx, in)
	})
}

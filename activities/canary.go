package activities

import (
	"context"

	"anabranch/batch"
	"anabranch/fault"
)

// Judge compares versions of a view that stand beside each other, and has one
// of them answer. Every method may be called again after any error.
type Judge interface {
	Judge(ctx context.Context, view, version string, bound float64) (batch.Judgement, error)
	Share(ctx context.Context, view, version string, percent float64, reason, by string) (batch.Published, error)
	Serve(ctx context.Context, view, version, reason, by string) (batch.Published, error)
}

var _ interface {
	Share(ctx context.Context, view, version string, percent float64, reason, by string) (batch.Published, error)
	Serve(ctx context.Context, view, version, reason, by string) (batch.Published, error)
} = (*batch.Runner)(nil)

// OfVersion names a version of a view.
type OfVersion struct {
	Pipeline string  `json:"pipeline"`
	View     string  `json:"view"`
	Version  string  `json:"version"`
	Within   float64 `json:"within,omitempty"` // JudgeVersion: the bound, as a share of 1
	Percent  float64 `json:"percent,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	By       string  `json:"by,omitempty"`
}

// JudgeVersion compares a held version of a view with the one that answers.
func (a *Activities) JudgeVersion(ctx context.Context, in OfVersion) (batch.Judgement, error) {
	return judged(ctx, a, in.Pipeline, func(ctx context.Context, j Judge) (batch.Judgement, error) {
		return j.Judge(ctx, in.View, in.Version, in.Within)
	})
}

// ShareVersion has a held version of a view answer a share of the queries.
func (a *Activities) ShareVersion(ctx context.Context, in OfVersion) (batch.Published, error) {
	return judged(ctx, a, in.Pipeline, func(ctx context.Context, j Judge) (batch.Published, error) {
		return j.Share(ctx, in.View, in.Version, in.Percent, in.Reason, in.By)
	})
}

// PromoteVersion has a held version of a view answer.
func (a *Activities) PromoteVersion(ctx context.Context, in OfVersion) (batch.Published, error) {
	return judged(ctx, a, in.Pipeline, func(ctx context.Context, j Judge) (batch.Published, error) {
		return j.Serve(ctx, in.View, in.Version, in.Reason, in.By)
	})
}

func judged[T any](ctx context.Context, a *Activities, pipeline string, call func(context.Context, Judge) (T, error)) (T, error) {
	return step(ctx, a, pipeline, func(ctx context.Context, _ Runner) (T, error) {
		var none T
		if a.Judges == nil {
			return none, fault.New(fault.Transient, "this worker judges no views")
		}
		j, err := a.Judges(ctx, pipeline)
		if err != nil {
			return none, err
		}
		return call(ctx, j)
	})
}

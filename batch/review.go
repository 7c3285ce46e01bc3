package batch

import (
	"context"
	"strings"

	"anabranch/schemas"
)

// Review is a Comparison for the person or the policy that decides whether a
// run publishes. It is small: workflows keep it in their history.
type Review struct {
	Old    uint64 `json:"old"`    // version of the manifest that it was compared with
	Digest string `json:"digest"` // of the differences; an approval names it
	Equal  bool   `json:"equal"`
	Policy string `json:"policy"` // of the pipeline, as pipeline.yaml has it
	// Ask says why the policy wants an approval; empty: it does not.
	Ask      string `json:"ask,omitempty"`
	Markdown string `json:"markdown"`
}

// longMarkdown bounds what is shown of a comparison; all of it is in its
// Parquet objects.
const longMarkdown = 16 << 10

// Review compares as Compare does and asks the pipeline's policy.
func (r *Runner) Review(ctx context.Context, ref PlanRef) (_ Review, err error) {
	defer r.overtaken(ctx, ref, &err)
	c, err := r.Compare(ctx, ref)
	if err != nil {
		return Review{}, err
	}
	out := Review{Old: c.Old, Digest: c.Digest, Equal: c.Equal(), Policy: r.Publishes.String(), Markdown: c.Markdown()}
	p, err := r.planned(ctx, ref.Run)
	if err != nil {
		return Review{}, err
	}
	switch r.Publishes.Mode {
	case schemas.PublishApproval:
		out.Ask = "the pipeline wants every backfill approved"
	case schemas.PublishWithin:
		out.Ask = c.Beyond(r.Publishes.Bound)
	}
	if p != nil && p.Request.Build && p.Request.Hold {
		out.Ask = "" // nobody sees it before it is promoted
	}
	if len(out.Markdown) > longMarkdown {
		cut := strings.LastIndexByte(out.Markdown[:longMarkdown], '\n')
		out.Markdown = out.Markdown[:cut+1] + "\nThere is more than is shown here.\n"
	}
	return out, nil
}

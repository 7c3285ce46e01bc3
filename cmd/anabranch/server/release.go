package server

import (
	"cmp"
	"context"
	"net/http"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/client"

	"anabranch/activities"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/workflows"
)

// releaser hands what sends dead letters back to the activities.
func (s *Server) releaser(_ context.Context, name string) (activities.Releaser, error) {
	p, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return p.releaser, nil
}

// previewLetters is how many letters a preview shows at most.
const previewLetters = 1000

func previewRelease(r *http.Request, p *pipeline, in api.PreviewRelease) (out api.ReleasePreview, err error) {
	in.Limit = cmp.Or(in.Limit, 20)
	if in.Limit < 1 || in.Limit > previewLetters {
		return out, fault.New(fault.Invalid, "limit %d: want 1 to %d", in.Limit, previewLetters)
	}
	if p.releaser == nil {
		return out, fault.New(fault.NotFound, "this process sends no dead letters back: ask one started with --role gateway")
	}
	pick, err := activities.Pick(in.IDs, in.Codes, in.Since, in.Set)
	if err != nil {
		return out, err
	}
	trials, skipped, next, err := p.releaser.Try(r.Context(), pick, in.After, in.Limit)
	if err != nil {
		return out, err
	}
	out = api.ReleasePreview{Letters: []api.Trial{}, Skipped: skipped, Next: next}
	for _, t := range trials {
		one := api.Trial{ID: t.Letter.ID, Was: t.Letter.Code, Before: printable(t.Letter.Raw), After: printable(t.Event), Header: printable(t.Header)}
		if t.Refused != nil {
			one.Code, one.Field, one.Message = t.Refused.Code, t.Refused.Field, t.Refused.Message
		}
		out.Letters = append(out.Letters, one)
	}
	return out, nil
}

func printable(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return "(not UTF-8)"
}

func (s *Server) postRelease(r *http.Request, in api.StartRelease) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		pick, err := activities.Pick(in.IDs, in.Codes, in.Since, in.Set)
		if err != nil {
			return workflows.Started{}, err
		}
		if p.releaser != nil { // a slip in an expression is told at once
			if _, _, _, err := p.releaser.Try(ctx, pick, "", 1); err != nil {
				return workflows.Started{}, err
			}
		}
		return workflows.StartRelease(ctx, c, s.runs.queue, workflows.ReleaseInput{
			Pipeline: p.def.Name, Codes: in.Codes, IDs: in.IDs, Since: in.Since, Set: in.Set, Reason: in.Reason, By: in.By, Key: in.Key,
		}, time.Now())
	})
}

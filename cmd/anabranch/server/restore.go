package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/activities"
	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/workflows"
)

func (s *Server) postRestore(r *http.Request, in api.StartRestore) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		if _, err := p.asOf(ctx, in.AsOf); err != nil { // a slip is told at once
			return workflows.Started{}, err
		}
		return workflows.StartRestore(ctx, c, s.runs.queue, workflows.RestoreInput{
			Pipeline: p.def.Name, Into: in.Into, AsOf: in.AsOf, Reason: in.Reason, By: in.By, Key: in.Key,
		}, time.Now())
	})
}

var (
	pipelineLine = regexp.MustCompile(`(?m)^pipeline:.*$`)
	versionText  = regexp.MustCompile(`^v([0-9]+)$`)
)

// restore puts the events of a pipeline as of then into another one, with the
// definition that is in force.
func (s *Server) restore(ctx context.Context, in activities.Restore) (activities.Restored, error) {
	out := activities.Restored{Pipeline: in.Pipeline, Into: in.Into}
	p, err := s.find(in.Pipeline)
	if err != nil {
		return out, err
	}
	cut, err := p.asOf(ctx, in.AsOf)
	if err != nil {
		return out, err
	}
	out.Cut = cut.String()
	files := maps.Clone(p.def.Files)
	const file = "pipeline.yaml"
	if !pipelineLine.MatchString(files[file]) {
		return out, fault.New(fault.Invalid, "%s of %s has no line that begins with \"pipeline:\", so that it cannot be given another name", file, in.Pipeline)
	}
	// The comment tells this restore from any other pipeline of that name.
	files[file] = fmt.Sprintf("# %s below %s\n", in.Pipeline, cut) + pipelineLine.ReplaceAllLiteralString(files[file], "pipeline: "+in.Into)
	def, err := definition(files)
	if err != nil {
		return out, err
	}
	if there, err := s.pipeline(in.Into); err == nil && there.def.Version() != def.Version() {
		return out, fault.WithHint(fault.New(fault.Invalid, "there is a pipeline %s already", in.Into), "give the restored one a name of its own")
	}
	if _, err := s.applyKnown(ctx, files, p.references); err != nil {
		return out, err
	}
	q, err := s.pipeline(in.Into)
	if err != nil {
		return out, err
	}
	for n := range cut {
		c := &copier{to: q, partition: n, out: &out}
		if err := p.inLogOrder(ctx, n, cut[n], c.add); err != nil {
			return out, fmt.Errorf("put back partition %d: %w", n, err)
		}
		if err := c.flush(ctx); err != nil {
			return out, fmt.Errorf("put back partition %d: %w", n, err)
		}
	}
	return out, nil
}

// inLogOrder calls fn with the events of a partition below an offset, in the
// order of the log, which decides of copies which is the first.
func (p *pipeline) inLogOrder(ctx context.Context, partition int, below uint64, fn func(ctx context.Context, b *event.Batch) error) error {
	type stretch struct {
		batch  *event.Batch
		rows   []uint32
		offset uint64
	}
	var held []stretch // of one segment, which may have one schema version after the other
	var last uint64
	emit := func() error {
		slices.SortStableFunc(held, func(a, b stretch) int {
			switch {
			case a.offset < b.offset:
				return -1
			case a.offset > b.offset:
				return 1
			}
			return 0
		})
		for _, h := range held {
			if err := fn(ctx, h.batch.Gather(h.rows)); err != nil {
				return err
			}
		}
		held = nil
		return nil
	}
	c, err := p.segments.refresh(ctx, partition)
	if err != nil {
		return err
	}
	err = p.raw(ctx, partition, below, func(b *event.Batch, offsets []uint64, _ []int32) error {
		if b.N == 0 {
			return nil
		}
		// A batch lies within one segment, or within the log behind them.
		if at := c.segmentOf(offsets[0]); at != last {
			if err := emit(); err != nil {
				return err
			}
			last = at
		}
		for i := 0; i < b.N; {
			h := stretch{batch: b, offset: offsets[i]}
			for ; i < b.N && offsets[i] == h.offset; i++ {
				h.rows = append(h.rows, uint32(i))
			}
			if h.offset < below {
				held = append(held, h)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return emit()
}

// segmentOf returns the end of the segment that holds an offset; of one above
// all of them the offset's own.
func (c chain) segmentOf(offset uint64) uint64 {
	if i := c.whole(offset); i < len(c.segments) {
		return c.segments[i].To
	}
	return offset + 1
}

// copyRows is how many rows a frame of a restore has, about.
const copyRows = 4096

// copier appends events to a partition of another pipeline.
type copier struct {
	to        *pipeline
	partition int
	out       *activities.Restored
	builder   *schemas.FrameBuilder
	rows      int
}

func (c *copier) add(ctx context.Context, b *event.Batch) error {
	if c.builder == nil {
		c.builder = c.to.set.Newest().NewFrameBuilder()
	}
	c.builder.Append(b, nil)
	if c.rows += b.N; c.rows < copyRows {
		return nil
	}
	return c.flush(ctx)
}

func (c *copier) flush(ctx context.Context) error {
	if c.rows == 0 {
		return nil
	}
	body, err := c.builder.Finish()
	if err != nil {
		return err
	}
	frame, err := event.AppendFrame(nil, event.Header{
		Kind: event.Rows, Pipeline: c.to.def.Name, Schema: c.to.set.Newest().Version(), Rows: uint32(c.rows), Producer: "restore", Ingested: time.Now().UnixMicro(),
	}, body)
	if err != nil {
		return err
	}
	if _, err := c.to.log.Append(ctx, c.partition, frame); err != nil {
		return err
	}
	c.out.Frames++
	c.out.Events += int64(c.rows)
	c.rows, c.builder = 0, nil
	return nil
}

// asOf returns the cut that a text means: a time, a version, a cut, or the
// receipt of a query. Errors: Invalid, NotFound (no such version).
func (p *pipeline) asOf(ctx context.Context, text string) (event.Cut, error) {
	text = strings.TrimSpace(text)
	var cut event.Cut
	var err error
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return nil, err
	}
	for n := range p.def.Partitions {
		if from := m.RawFrom(n).From; from > 0 {
			return nil, fault.WithCode(fault.New(fault.Invalid, "the raw events of partition %d of %s below %d have expired: nothing can be restored any more", n, p.def.Name, from), archive.RawGone)
		}
	}
	switch number := versionText.FindStringSubmatch(text); {
	case number != nil:
		v, _ := strconv.ParseUint(number[1], 10, 64)
		if m, err = p.archive.Manifest(ctx, v); err != nil {
			return nil, err
		}
		return m.Cut, nil
	case strings.HasPrefix(text, "{"):
		var r serving.Receipt
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fault.New(fault.Invalid, "as of: the receipt cannot be read: %v", err)
		}
		of, ok := r.Pipelines[p.def.Name]
		if !ok {
			return nil, fault.WithHint(fault.New(fault.Invalid, "as of: it is not the receipt of a query of %s", p.def.Name), "a producer's receipt says only where its own events are; give a time, or the receipt of an answer")
		}
		cut = of.At
	case regexp.MustCompile(`^[0-9]+(,[0-9]+)*$`).MatchString(text) && (strings.Contains(text, ",") || p.def.Partitions == 1):
		if cut, err = event.ParseCut(text); err != nil {
			return nil, err
		}
	default:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			if t, err = time.Parse(time.DateOnly, text); err != nil {
				return nil, fault.New(fault.Invalid, "as of %q: want a time like 2011-09-01T12:00:00Z, a version like v12, a cut like 10,20,30,40, or the receipt of a query", text)
			}
		}
		return p.cutAt(ctx, t)
	}
	if len(cut) != p.def.Partitions {
		return nil, fault.New(fault.Invalid, "as of %s: it has %d partitions, %s has %d", cut, len(cut), p.def.Name, p.def.Partitions)
	}
	for n := range cut {
		if _, head, err := p.log.Bounds(ctx, n); err != nil {
			return nil, err
		} else if cut[n] > head {
			return nil, fault.New(fault.Invalid, "as of %s: partition %d ends at %d", cut, n, head)
		}
	}
	return cut, nil
}

// cutAt returns in front of which frame of each partition those begin that
// gateways took after t.
func (p *pipeline) cutAt(ctx context.Context, t time.Time) (event.Cut, error) {
	after := t.UnixMicro()
	cut := make(event.Cut, p.def.Partitions)
	for n := range cut {
		err := settled(ctx, func() (err error) {
			cut[n], err = p.partitionCutAt(ctx, n, after)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return cut, nil
}

func (p *pipeline) partitionCutAt(ctx context.Context, n int, after int64) (cut uint64, err error) {
	c, err := p.segments.refresh(ctx, n)
	if err != nil {
		return 0, err
	}
	_, head, err := p.log.Bounds(ctx, n)
	if err != nil {
		return 0, err
	}
	end := c.begin
	if len(c.segments) > 0 {
		end = c.segments[len(c.segments)-1].To
	}
	cut = max(head, end)
	err = tail(ctx, p.log, n, end, head, func(offset uint64, h event.Header, _ []byte) error {
		if h.Kind == event.Rows && h.Ingested > after {
			cut = min(cut, offset)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	// Clocks of gateways differ a little: the search ends in front of a
	// segment that has nothing of later.
	for _, s := range slices.Backward(c.segments) {
		first, found, err := p.archive.IngestedAfter(ctx, s, after)
		if err != nil {
			return 0, err
		}
		if !found && s.Rows > 0 {
			break
		}
		if found {
			cut = min(cut, first)
		}
	}
	return cut, nil
}

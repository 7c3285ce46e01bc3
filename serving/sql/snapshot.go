package sql

import (
	"context"
	"fmt"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/view"
)

// Snapshot is one cut of several views that stays until it is closed: every
// read of it sees the same rows.
type Snapshot struct {
	Receipt serving.Receipt

	engine *Engine
	source *serving.Source
	views  map[string]*view.View // the versions that answer
	epoch  *epoch
}

// Snapshot pins the views of one pipeline at the newest cut.
func (e *Engine) Snapshot(ctx context.Context, src *serving.Source, views []string, fresh serving.Fresh) (*Snapshot, error) {
	asked := map[*serving.Source][]string{src: views}
	fresh, err := e.settle(ctx, asked, fresh)
	if err != nil {
		return nil, err
	}
	ep, err := e.epochFor(ctx, asked, extras{}, fresh)
	if err != nil {
		return nil, err
	}
	return &Snapshot{Receipt: ep.receipt, engine: e, source: src, views: ep.views[src.Name], epoch: ep}, nil
}

// Read returns all rows of a view, in no particular order.
func (s *Snapshot) Read(ctx context.Context, view string) (*event.Batch, error) {
	v := s.views[view]
	if v == nil {
		return nil, fault.New(fault.NotFound, "view %q of pipeline %s was not asked for", view, s.source.Name)
	}
	conn, err := s.engine.db.Conn(ctx)
	if err != nil {
		return nil, classify(err)
	}
	defer conn.Close()
	rows, err := readBatch(ctx, conn, "SELECT * FROM "+tableName{s.epoch.catalog, s.source.Name, view}.String(), v.Output())
	if err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", s.source.Name, view, err)
	}
	return rows, nil
}

// View returns the version of a view that this cut answers with.
func (s *Snapshot) View(name string) *view.View { return s.views[name] }

// Close lets the cut go. Calling it twice is fine.
func (s *Snapshot) Close() {
	if s.epoch != nil {
		s.engine.release(s.epoch)
		s.epoch = nil
	}
}

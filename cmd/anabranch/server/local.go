package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/deadletter"
	"anabranch/ingest"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/stream"
)

// Local is one pipeline in this process alone: its log and its objects are in
// memory, nothing listens, and a batch runs when it is told to. The rooms are
// those that a server composes.
type Local struct {
	server   *Server // has the engine and the pipeline, and nothing that listens
	pipeline *pipeline
	runs     int
}

// OpenLocal opens the pipeline that files define. Dir is an empty folder for
// snapshots and caches, which the caller removes after Close. Mistakes in the
// files are schemas.Problems.
func OpenLocal(ctx context.Context, files map[string]string, dir string, logger *slog.Logger) (*Local, error) {
	c := Config{Dir: dir, Logger: logger}
	c.ensureDefaults()
	s := &Server{config: c, memory: c.memory(), pipelines: map[string]*pipeline{}}
	s.opened = &opened{config: c, bucket: bucket.NewMemory(), store: stream.NewMemory(), logger: c.Logger, id: "local", memory: s.memory}
	def, err := definition(files)
	if err != nil {
		return nil, err
	}
	e := entry{Format: catalogFormat, N: 1, Name: def.Name, Schema: 1, Files: def.Files}
	if e.References, err = s.bring(ctx, def, files, nil); err != nil {
		return nil, err
	}
	p, err := s.opened.open(ctx, e, []entry{e})
	if err != nil {
		return nil, err
	}
	s.pipelines[def.Name] = p
	l := &Local{server: s, pipeline: p}
	s.engine, err = sql.New(ctx, serving.New(serving.Options{Sources: s.sources, Logger: c.Logger}), sql.Options{CacheDirs: []string{dir}, Logger: c.Logger})
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close ends the pipeline and forgets what it held.
func (l *Local) Close() { l.server.Stop() }

// Definition is what the files say.
func (l *Local) Definition() *schemas.Definition { return l.pipeline.def }

// Send hands one body to the gateway, as a request would.
func (l *Local) Send(ctx context.Context, body io.Reader, m ingest.Meta) (ingest.Answer, error) {
	return l.pipeline.gateway.Accept(ctx, body, m)
}

// Batch takes all steps of a nightly batch; what was sent before is then
// answered from its files.
func (l *Local) Batch(ctx context.Context) (batch.Published, error) {
	l.runs++
	return batch.Run(ctx, l.pipeline.runner, batch.Request{Kind: batch.Nightly, RunID: fmt.Sprintf("local-%d", l.runs), Reason: "test", By: "local"})
}

// Query runs a SELECT that sees everything sent before.
func (l *Local) Query(ctx context.Context, query string) (*sql.Answer, error) {
	return l.server.engine.Query(ctx, sql.Request{SQL: query, Fresh: serving.Fresh{Latest: true}})
}

// Letters returns the dead letters in order of their lines.
func (l *Local) Letters(ctx context.Context) ([]deadletter.Letter, error) {
	var all []deadletter.Letter
	for letter, err := range l.pipeline.letters.List(ctx, deadletter.Options{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, letter)
	}
	slices.SortStableFunc(all, func(a, b deadletter.Letter) int { return a.Line - b.Line })
	return all, nil
}

// Verify compares every view with its own SELECT over the raw events.
func (l *Local) Verify(ctx context.Context) (api.Verification, error) {
	return l.server.verify(ctx, l.pipeline)
}

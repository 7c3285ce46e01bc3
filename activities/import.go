package activities

import (
	"context"

	"anabranch/fault"
	"anabranch/ingest"
)

// Importer brings files of events into one pipeline. Each step may be taken
// again after any error, from another process too, and goes on where the notes
// of the run say.
type Importer interface {
	List(ctx context.Context, run string, from, format string) (ingest.Listing, error)
	File(ctx context.Context, run string, from string, n int, dry bool) (ingest.Imported, error)
}

// ImportFiles names an import.
type ImportFiles struct {
	Pipeline string `json:"pipeline"`
	Run      string `json:"run"`
	From     string `json:"from"`
	Format   string `json:"format,omitempty"`
}

// ImportList is what an import has to do; the names stay in its notes.
type ImportList struct {
	Files  int      `json:"files"`
	Bytes  int64    `json:"bytes"`
	Passed []string `json:"passed,omitempty"` // some of the files whose names do not tell a format
}

// ImportFile names one file of an import.
type ImportFile struct {
	Pipeline string `json:"pipeline"`
	Run      string `json:"run"`
	From     string `json:"from"`
	N        int    `json:"n"`
	DryRun   bool   `json:"dry_run,omitempty"`
}

func importing[T any](ctx context.Context, a *Activities, pipeline string, call func(context.Context, Importer) (T, error)) (T, error) {
	return step(ctx, a, pipeline, func(ctx context.Context, _ Runner) (out T, err error) {
		if a.Importers == nil {
			return out, fault.New(fault.Transient, "this worker imports nothing")
		}
		im, err := a.Importers(ctx, pipeline)
		if err != nil {
			return out, err
		}
		return call(ctx, im)
	})
}

// ImportList finds the files of an import.
func (a *Activities) ImportList(ctx context.Context, in ImportFiles) (ImportList, error) {
	return importing(ctx, a, in.Pipeline, func(ctx context.Context, im Importer) (ImportList, error) {
		l, err := im.List(ctx, in.Run, in.From, in.Format)
		return ImportList{Files: len(l.Files), Bytes: l.Bytes(), Passed: l.Passed}, err
	})
}

// ImportFile imports one file.
func (a *Activities) ImportFile(ctx context.Context, in ImportFile) (ingest.Imported, error) {
	return importing(ctx, a, in.Pipeline, func(ctx context.Context, im Importer) (ingest.Imported, error) {
		return im.File(ctx, in.Run, in.From, in.N, in.DryRun)
	})
}

package archive

import (
	"context"
	"fmt"

	"anabranch/event"
)

// ComparisonWriter writes the differing cells of one view as a Parquet object.
type ComparisonWriter struct {
	a          *Archive
	name, view string
	file       *parquetObject
}

// NewComparison begins an object whose rows have the given shape. Name, which
// says what is compared, and view become part of its name.
func (a *Archive) NewComparison(name, view string, shape *event.Shape) (*ComparisonWriter, error) {
	file, err := a.newParquet(shape)
	if err != nil {
		return nil, err
	}
	return &ComparisonWriter{a: a, name: name, view: view, file: file}, nil
}

// Write adds rows.
func (w *ComparisonWriter) Write(b *event.Batch) error {
	if w.file.open >= groupRows {
		if err := w.file.endGroup(); err != nil {
			return err
		}
	}
	return w.file.write(b)
}

// Finish stores the object and returns its name.
func (w *ComparisonWriter) Finish(ctx context.Context) (object string, err error) {
	meta := map[string]string{"pipeline": w.a.pipeline, "compared": w.name, "view": w.view}
	if err := w.file.finish("anabranch.comparison", meta); err != nil {
		return "", fmt.Errorf("write the comparison of view %s: %w", w.view, err)
	}
	object, _, _, err = w.file.spool.put(ctx, func(sum string) string { return w.a.comparisonName(w.name, w.view, sum) })
	return object, err
}

// Close drops what was not finished; after Finish it does nothing.
func (w *ComparisonWriter) Close() { w.file.spool.close() }

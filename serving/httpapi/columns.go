package httpapi

import (
	"io"

	"github.com/apache/arrow/go/v17/arrow/ipc"

	"anabranch/serving/sql"
)

// writeArrow writes the answer as a stream of Arrow's IPC format. It is whole
// when its end is marked, which an error never does.
func writeArrow(out io.Writer, r *sql.Records) (rows int64, err error) {
	w := ipc.NewWriter(out, ipc.WithSchema(r.Schema))
	for {
		rec, err := r.Next()
		if err != nil {
			return rows, err
		}
		if rec == nil {
			return rows, w.Close()
		}
		err = w.Write(rec)
		rows += rec.NumRows()
		rec.Release()
		if err != nil {
			return rows, err
		}
	}
}

// A row group of Parquet is held in memory until it is whole: it ends with the
// batch that takes it over one of these.
const (
	groupRows    = 128 << 10
	groupBatches = 32 // of a megabyte, about, where rows are wide
)

// writeParquet writes the answer as a Parquet file, which is whole when it has
// its footer.
func writeParquet(out io.Writer, r *sql.Records) (rows int64, err error) {
	w, err := newParquet(out, r.Schema)
	if err != nil {
		return 0, err
	}
	group, batches := int64(0), 0
	for {
		rec, err := r.Next()
		if err != nil {
			return rows, err
		}
		if rec == nil {
			return rows, w.file.Close()
		}
		err = w.write(rec)
		rows, group = rows+rec.NumRows(), group+rec.NumRows()
		rec.Release()
		if batches++; err == nil && (group >= groupRows || batches == groupBatches) {
			group, batches, err = 0, 0, w.file.Flush()
		}
		if err != nil {
			return rows, err
		}
	}
}

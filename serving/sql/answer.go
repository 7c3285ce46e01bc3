package sql

import (
	"runtime"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/fault"
	"anabranch/serving"
)

// Column is one column of an answer.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // as DuckDB names it: BIGINT, DECIMAL(38,3), ...
	// View is pipeline.view when the column comes straight from one, and
	// Comment what its definition says about it.
	View    string `json:"view,omitempty"`
	Comment string `json:"comment,omitempty"`
	// Called is what PostgreSQL calls a column that the query gives no name, or
	// empty: count for count(*), which is count_star() here.
	Called   string `json:"-"`
	Nullable bool   `json:"-"`
	Key      bool   `json:"-"` // of a view or a reference table: tells its rows apart
}

// Answer is the rows of a query, read once, at one cut. The query runs as far
// as it is read: what is not read yet takes no memory. An answer of few rows is
// whole from the beginning, and holds nothing.
type Answer struct {
	Columns []Column
	Receipt serving.Receipt

	progress *progress
	meter    *meter
	cells    []cells
	values   []any
	data     []Datum
	chunks   []bindings.DataChunk // the first one is in hand once rows is set
	row      int                  // of the chunk in hand
	rows     int
	read     int // chunks
	made     int // values since the last look at the time
	seat     seat
}

// ahead is how many chunks a step fetches at most: rows by the thousand, and
// the end of an answer that has no more.
const ahead = 2

// between is after how many rows others go first: whoever reads a large answer
// would else keep a processor for 10 ms at a time, as long as Go lets him.
const between = 512

// answer begins to run the query, until its first rows are there.
func (s *stay) answer(seats *seats) (*Answer, error) {
	a := &Answer{Receipt: s.receipt, meter: s.meter, seat: seat{all: seats, ctx: s.ctx, taken: s.taken}}
	r, err := s.read(func(stream *stream) (bool, error) {
		if err := a.describe(stream); err != nil {
			return false, err
		}
		return a.fetch(stream)
	}, a.dropAll)
	if err != nil {
		if !r.gone.Load() {
			a.dropAll()
		}
		return nil, err
	}
	a.progress = r
	s.origins.tell(a.Columns)
	return a, nil
}

// describe finds the columns of the answer.
func (a *Answer) describe(s *stream) error {
	n := bindings.ColumnCount(s.result)
	a.cells, a.values, a.data, a.Columns = make([]cells, n), make([]any, n), make([]Datum, n), make([]Column, n)
	for i := range n {
		name := bindings.ColumnName(s.result, i)
		c, err := childCells(bindings.ColumnLogicalType(s.result, i))
		if err != nil {
			return fault.WithCode(fault.New(fault.Invalid, "column %s: %v", name, err), fault.CodeOf(err))
		}
		a.cells[i], a.Columns[i] = c, Column{Name: name, Type: c.name, Nullable: true}
	}
	return nil
}

// fetch runs the query on for a few chunks.
func (a *Answer) fetch(s *stream) (more bool, err error) {
	for len(a.chunks) < ahead {
		chunk, err := s.next()
		if err != nil || chunk.Ptr == nil {
			return false, err
		}
		a.chunks = append(a.chunks, chunk)
	}
	return true, nil
}

// drop lets the first chunks go.
func (a *Answer) drop(n int) {
	for i := range n {
		bindings.DestroyDataChunk(&a.chunks[i])
	}
	a.chunks = a.chunks[:copy(a.chunks, a.chunks[n:])]
	a.row, a.rows = 0, 0
}

func (a *Answer) dropAll() { a.drop(len(a.chunks)) }

// Next returns the next row, valid until the following Next, or nil at the
// end. Values are what DuckDB's driver gives: int64, float64, string, bool,
// []byte, time.Time, *big.Int, duckdb.Decimal, []any, map[string]any, nil; and
// JSON.
func (a *Answer) Next() ([]any, error) {
	if there, err := a.await(); !there {
		return nil, err
	}
	var size int64
	for i := range a.cells {
		a.values[i] = a.cells[i].at(a.row)
		size += sizeOf(a.values[i])
	}
	if err := a.pass(size); err != nil {
		return nil, err
	}
	return a.values, nil
}

// Row is Next, with the values where they lie: valid until the following Row or
// Close, for whoever writes them at once.
func (a *Answer) Row() ([]Datum, error) {
	if there, err := a.await(); !there {
		return nil, err
	}
	var size int64
	for i := range a.cells {
		size += a.cells[i].datum(a.row, &a.data[i])
	}
	if err := a.pass(size); err != nil {
		return nil, err
	}
	return a.data, nil
}

// await returns once there is a row in hand, or that there is none.
func (a *Answer) await() (there bool, err error) {
	for a.row == a.rows {
		if a.rows > 0 {
			a.drop(1)
			a.read++
			if a.read == large {
				a.seat.wanted()
			}
		}
		if len(a.chunks) == 0 {
			a.seat.leave()
			if err := a.progress.on(a.fetch); err != nil {
				return false, err
			}
		}
		if len(a.chunks) == 0 {
			return false, nil
		}
		a.rows = int(bindings.DataChunkGetSize(a.chunks[0]))
		for i := range a.cells {
			a.cells[i].take(bindings.DataChunkGetVector(a.chunks[0], bindings.IdxT(i)))
		}
		if a.rows == 0 {
			a.drop(1)
		}
	}
	a.seat.take()
	return true, nil
}

// pass goes behind the row in hand, which takes so many bytes.
func (a *Answer) pass(size int64) error {
	if a.row++; a.row%between == 0 {
		runtime.Gosched()
	}
	if a.made += len(a.cells); a.made >= looked { // a chunk of wide rows takes its time
		a.made = 0
		if err := a.progress.why(); err != nil {
			return err
		}
	}
	return a.meter.add(1, size)
}

// looked is how many values are made between two looks at the time.
const looked = 16 << 10

// Rest lets others read their answers until the next row. Whoever waits for
// anything between two rows, as for a client, calls it before.
func (a *Answer) Rest() { a.seat.leave() }

// Close ends the query and lets its cut go. Calling it twice is fine.
func (a *Answer) Close() error {
	a.seat.leave()
	if a.progress.gone.Load() {
		return nil
	}
	a.dropAll()
	return a.progress.close()
}

package archive

import (
	"context"
	"fmt"
	"io"
	"math"

	"anabranch/event"
	"anabranch/fault"
)

// Entry is one event of an id run.
type Entry struct {
	ID     event.ID
	Hash   uint64 // of its content
	Offset uint64 // with Row: its place in the partition's log
	Row    int32
}

// before reports whether e stands before o in the log.
func (e *Entry) before(o *Entry) bool {
	return e.Offset < o.Offset || e.Offset == o.Offset && e.Row < o.Row
}

// Run is an id run: the identities of events of one partition, sorted.
type Run struct {
	Name      string `json:"name"`
	Partition int    `json:"partition"`
	K         uint64 `json:"k"` // the batch cycle that wrote it
	Entries   int64  `json:"entries"`
	Size      int64  `json:"size"`
	Sum       string `json:"sum"`            // SHA-256
	Filter    int64  `json:"filter"`         // bytes of its filter, which stays in memory while it is open
	Plan      string `json:"plan,omitempty"` // part of its name
}

// runWriter writes an id run as its entries come.
type runWriter struct {
	a         *Archive
	spool     *spool
	partition int
	k         uint64
	plan      string
	tail      runTail
	open      []Entry
	last      event.ID
	scratch   []byte
}

// newRunWriter returns a writer of up to most entries.
func (a *Archive) newRunWriter(partition int, k uint64, plan string, most int64) (*runWriter, error) {
	s, err := a.newSpool()
	if err != nil {
		return nil, err
	}
	w := &runWriter{
		a: a, spool: s, partition: partition, k: k, plan: plan, open: make([]Entry, 0, runBlock),
		tail: runTail{partition: partition, k: k, filter: newFilter(most)},
	}
	if _, err := s.Write([]byte{runMagic[0], runMagic[1], runMagic[2], runMagic[3], runFormat, 0, 0, 0}); err != nil {
		s.close()
		return nil, fmt.Errorf("write an id run: %w", err)
	}
	return w, nil
}

func (w *runWriter) add(e Entry) error {
	if w.tail.entries > 0 && !w.last.Less(e.ID) {
		return fault.New(fault.Bug, "write an id run of partition %d: entry %d is not above the one before", w.partition, w.tail.entries)
	}
	w.last = e.ID
	w.tail.entries++
	w.tail.filter.add(filterHash(e.ID))
	w.open = append(w.open, e)
	if len(w.open) == runBlock {
		return w.endBlock()
	}
	return nil
}

func (w *runWriter) endBlock() error {
	if len(w.open) == 0 {
		return nil
	}
	w.scratch = appendBlock(w.scratch[:0], w.open)
	if len(w.scratch) > math.MaxUint32 {
		return fault.New(fault.Bug, "write an id run: block of %d bytes", len(w.scratch))
	}
	w.tail.index = append(w.tail.index, blockAt{w.open[0].ID, uint64(w.spool.size), uint32(len(w.scratch))})
	w.open = w.open[:0]
	if _, err := w.spool.Write(w.scratch); err != nil {
		return fmt.Errorf("write an id run: %w", err)
	}
	return nil
}

// finish stores the run.
func (w *runWriter) finish(ctx context.Context) (Run, error) {
	if err := w.endBlock(); err != nil {
		return Run{}, err
	}
	if _, err := w.spool.Write(w.tail.append(nil, w.spool.size)); err != nil {
		return Run{}, fmt.Errorf("write an id run: %w", err)
	}
	run := Run{Partition: w.partition, K: w.k, Entries: w.tail.entries, Filter: int64(len(w.tail.filter)) * filterBlock, Plan: w.plan}
	var err error
	run.Name, run.Size, run.Sum, err = w.spool.put(ctx, func(sum string) string { return w.a.runName(w.partition, w.k, w.plan, sum) })
	return run, err
}

// WriteRun stores entries, sorted by ID and each ID once, as a run. Plan becomes
// part of its name.
func (a *Archive) WriteRun(ctx context.Context, partition int, k uint64, plan string, sorted []Entry) (Run, error) {
	w, err := a.newRunWriter(partition, k, plan, int64(len(sorted)))
	if err != nil {
		return Run{}, err
	}
	defer w.spool.close()
	for i := range sorted {
		if err := w.add(sorted[i]); err != nil {
			return Run{}, err
		}
	}
	return w.finish(ctx)
}

// runReader reads the entries of a run in order, a block at a time.
type runReader struct {
	run     Run
	r       io.ReaderAt
	release func()
	tail    *runTail
	block   int
	entries []Entry // what is left of the block
	scratch []byte
}

func (a *Archive) newRunReader(ctx context.Context, run Run) (*runReader, error) {
	r, release, err := a.open(ctx, run.Name, run.Size, run.Sum)
	if err != nil {
		return nil, err
	}
	tail, err := readTail(run, r)
	if err != nil {
		release()
		return nil, err
	}
	return &runReader{run: run, r: r, release: release, tail: tail}, nil
}

// readTail reads the end of a run's file.
func readTail(run Run, r io.ReaderAt) (*runTail, error) {
	n := tailSize(run)
	if n > run.Size-runHead || run.Entries < 0 || run.Filter < 0 {
		return nil, fault.New(fault.Corrupt, "read id run %s: %d entries in %d bytes", run.Name, run.Entries, run.Size)
	}
	b := make([]byte, n)
	if _, err := r.ReadAt(b, run.Size-n); err != nil {
		return nil, fmt.Errorf("read id run %s: %w", run.Name, diskFault(err))
	}
	return parseTail(run, b)
}

// next makes sure that there are entries, and reports false at the end.
func (r *runReader) next() (bool, error) {
	if len(r.entries) > 0 {
		return true, nil
	}
	if r.block == len(r.tail.index) {
		return false, nil
	}
	b := r.tail.index[r.block]
	if uint32(cap(r.scratch)) < b.length {
		r.scratch = make([]byte, b.length)
	}
	r.scratch = r.scratch[:b.length]
	if _, err := r.r.ReadAt(r.scratch, int64(b.offset)); err != nil {
		return false, fmt.Errorf("read id run %s: %w", r.run.Name, diskFault(err))
	}
	var err error
	if r.entries, err = parseBlock(r.scratch); err != nil {
		return false, fmt.Errorf("read id run %s: block %d: %w", r.run.Name, r.block, err)
	}
	r.block++
	return true, nil
}

// ReadRun calls fn with all entries of run, sorted by ID, some at a time; they
// are fn's to keep.
func (a *Archive) ReadRun(ctx context.Context, run Run, fn func([]Entry) error) error {
	r, err := a.newRunReader(ctx, run)
	if err != nil {
		return err
	}
	defer r.release()
	for {
		more, err := r.next()
		if err != nil || !more {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(r.entries); err != nil {
			return err
		}
		r.entries = nil
	}
}

package batch

import (
	"context"
	"fmt"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/internal/pace"
	"anabranch/view"
)

// folding is the states of the views of one unit, day by day, on their way
// into files. States that outgrow their share of memory are written as they
// are, and the day goes on with empty ones: whoever reads the parts merges them.
type folding struct {
	plans  []planView
	views  []*view.View
	states []*view.State
	files  []*archive.StateWriter
	sizes  []stateSizes
	most   int64 // bytes of all states
}

// stateSizes is what the states of one view take, on disk and in memory.
type stateSizes struct {
	encoded int64 // all parts
	largest int64 // of one part
	held    int64 // by the largest state in memory
	parted  bool  // some day is in parts
}

func (r *Runner) folding(u foldUnit, tag string) (*folding, error) {
	f := &folding{plans: u.Views, most: r.StateBytes / 2} // a hash table that grows is there twice
	for _, pv := range u.Views {
		v, err := r.compiled(pv)
		if err != nil {
			return nil, err
		}
		f.views = append(f.views, v)
		f.states = append(f.states, v.New())
		f.files = append(f.files, r.Archive.NewStates(pv.Name, pv.Version, tag))
	}
	f.sizes = make([]stateSizes, len(f.views))
	return f, nil
}

// fold adds events of a day.
func (f *folding) fold(day int32, b *event.Batch) error {
	all := int64(0)
	for i, s := range f.states {
		if err := s.Fold(b, nil); err != nil {
			return fmt.Errorf("view %s: %w", f.views[i].Name(), err)
		}
		all += s.Bytes()
	}
	if all <= f.most {
		return nil
	}
	for i := range f.states {
		if err := f.write(i, day); err != nil {
			return err
		}
		f.states[i], f.sizes[i].parted = f.views[i].New(), true // Reset would keep its room
	}
	return nil
}

// write writes the state of one view as a part of a day.
func (f *folding) write(i int, day int32) error {
	b, err := f.states[i].Groups()
	if err == nil {
		err = f.files[i].Write(day, b)
	}
	if err != nil {
		return fmt.Errorf("write states of view %s: %w", f.plans[i].Name, err)
	}
	n, size := b.Memory(map[*event.Dict]bool{}), &f.sizes[i]
	size.encoded += n
	size.largest = max(size.largest, n)
	size.held = max(size.held, f.states[i].Bytes())
	return nil
}

// end ends a day.
func (f *folding) end(ctx context.Context, day int32) error {
	for i, s := range f.states {
		if err := pace.Yield(ctx); err != nil {
			return err
		}
		if err := f.write(i, day); err != nil {
			return err
		}
		s.Reset()
	}
	return nil
}

// close stores the files.
func (f *folding) close(ctx context.Context) ([]foldedView, error) {
	var out []foldedView
	for i, w := range f.files {
		if err := pace.Yield(ctx); err != nil {
			return nil, err
		}
		file, err := w.Close(ctx)
		if err != nil {
			return nil, fmt.Errorf("write states of view %s: %w", f.plans[i].Name, err)
		}
		file.Memory, file.Parted = f.sizes[i].memory(), f.sizes[i].parted
		out = append(out, foldedView{f.plans[i], file})
	}
	return out, nil
}

func (f *folding) abandon() {
	for _, w := range f.files {
		w.Abandon()
	}
}

// mostInMemory is how many times as large as its bytes on disk a state may be
// said to be; what goes beyond is room for more, not states.
const mostInMemory = 32

// memory returns about how many bytes all parts take in one state: as many
// times their encoded size as the largest state that was held.
func (s stateSizes) memory() int64 {
	if s.largest == 0 {
		return 0
	}
	return int64(float64(s.encoded) * min(max(float64(s.held)/float64(s.largest), 1), mostInMemory))
}

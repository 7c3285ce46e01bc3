package view

// arena hands out blocks of 1<<class elements from one slice and takes them
// back, so that many small growing tables cost the collector one object.
type arena[T any] struct {
	data []T
	free [32][]uint32 // by class: offsets of blocks to hand out again
}

// alloc returns the offset of a zeroed block.
func (a *arena[T]) alloc(class uint8) uint32 {
	if f := a.free[class]; len(f) > 0 {
		off := f[len(f)-1]
		a.free[class] = f[:len(f)-1]
		clear(a.data[off : uint64(off)+1<<class])
		return off
	}
	off := len(a.data)
	if uint64(off)+1<<class > 1<<32 {
		// Reaching it takes tens of gigabytes in one aggregate of one state;
		// callers bound states far below.
		panic("view: aggregate over its arena's size")
	}
	a.data = append(a.data, make([]T, 1<<class)...)
	return uint32(off)
}

func (a *arena[T]) release(off uint32, class uint8) { a.free[class] = append(a.free[class], off) }

// block returns the block at off; it moves at the next alloc.
func (a *arena[T]) block(off uint32, class uint8) []T {
	return a.data[off : uint64(off)+1<<class : uint64(off)+1<<class]
}

func (a *arena[T]) clone() arena[T] {
	c := arena[T]{data: append([]T(nil), a.data...)}
	for i, f := range a.free {
		c.free[i] = append([]uint32(nil), f...)
	}
	return c
}

func (a *arena[T]) reset() {
	a.data = a.data[:0]
	for i := range a.free {
		a.free[i] = a.free[i][:0]
	}
}

func (a *arena[T]) bytes() int64 {
	n := sliceBytes(a.data)
	for _, f := range a.free {
		n += sliceBytes(f)
	}
	return n
}

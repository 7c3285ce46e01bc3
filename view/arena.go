package view

import "math/bits"

// arena hands out blocks of 1<<class elements from pages and takes them back,
// so that many small growing tables cost the collector few objects, and growing
// moves none of them but those of the first page.
type arena[T any] struct {
	pages [][]T
	free  [32][]uint32 // by class: offsets of blocks to hand out again
}

// An offset is the number of a page and a place in it. A block that is larger
// than a page is a page of its own.
const (
	pageBits = 16
	pageSize = 1 << pageBits
)

// alloc returns the offset of a zeroed block.
func (a *arena[T]) alloc(class uint8) uint32 {
	if f := a.free[class]; len(f) > 0 {
		off := f[len(f)-1]
		a.free[class] = f[:len(f)-1]
		clear(a.block(off, class))
		return off
	}
	size := 1 << class
	last := len(a.pages) - 1
	if last < 0 || len(a.pages[last])+size > pageSize {
		a.fill(last)
		last = a.open(size)
	}
	page := a.pages[last]
	a.pages[last] = append(page, make([]T, size)...)
	return uint32(last<<pageBits + len(page))
}

// open begins another page and returns its number.
func (a *arena[T]) open(size int) int {
	if len(a.pages) == 1<<(32-pageBits) {
		// Reaching it takes tens of gigabytes in one aggregate of one state;
		// callers bound states far below.
		panic("view: aggregate over its arena's size")
	}
	room := 0 // the first page grows: most states are small
	if len(a.pages) > 0 {
		room = max(size, pageSize)
	}
	a.pages = append(a.pages, make([]T, 0, room))
	return len(a.pages) - 1
}

// fill makes free blocks of what is left of a page.
func (a *arena[T]) fill(n int) {
	if n < 0 {
		return
	}
	for left := pageSize - len(a.pages[n]); left > 0; left = pageSize - len(a.pages[n]) {
		class := bits.Len(uint(left)) - 1
		a.release(uint32(n<<pageBits+len(a.pages[n])), uint8(class))
		a.pages[n] = append(a.pages[n], make([]T, 1<<class)...)
	}
}

func (a *arena[T]) release(off uint32, class uint8) { a.free[class] = append(a.free[class], off) }

// block returns the block at off; it may move at the next alloc.
func (a *arena[T]) block(off uint32, class uint8) []T {
	page, at := a.pages[off>>pageBits], int(off&(pageSize-1))
	return page[at : at+1<<class : at+1<<class]
}

func (a *arena[T]) clone() arena[T] {
	c := arena[T]{pages: make([][]T, len(a.pages))}
	for i, p := range a.pages {
		c.pages[i] = append([]T(nil), p...)
	}
	for i, f := range a.free {
		c.free[i] = append([]uint32(nil), f...)
	}
	return c
}

func (a *arena[T]) reset() {
	if len(a.pages) > 0 {
		clear(a.pages[1:])
		a.pages = a.pages[:1]
		a.pages[0] = a.pages[0][:0]
	}
	for i := range a.free {
		a.free[i] = a.free[i][:0]
	}
}

func (a *arena[T]) bytes() int64 {
	n := int64(0)
	for _, p := range a.pages {
		n += sliceBytes(p)
	}
	for _, f := range a.free {
		n += sliceBytes(f)
	}
	return n
}

// Package hugepage asks the system to lay large tables on large pages.
//
// A table of tens of megabytes that is looked into at random costs, at pages
// of 4 KiB, a walk of the page tables for nearly every look, and its first
// touches a fault for each page. Most systems give large pages to who asks
// for them only.
package hugepage

import "unsafe"

// least is the size in bytes from which a slice is worth asking for: a few
// large pages of x86 and, mostly, ARM.
const (
	size  = 2 << 20
	least = 4 * size
)

// Advise asks for large pages under all that s has room for and returns s. It is
// advice: where the system knows no large pages, or has none left, nothing
// happens. Only whole pages inside s are asked for, so that it takes no
// more memory than it has room for.
func Advise[T any](s []T) []T {
	var t T
	bytes := uintptr(cap(s)) * unsafe.Sizeof(t)
	if bytes < least {
		return s
	}
	data := unsafe.Pointer(unsafe.SliceData(s))
	skip := -uintptr(data) % size // up to the first page's begin
	whole := (bytes - skip) / size * size
	advise(unsafe.Slice((*byte)(unsafe.Add(data, skip)), whole))
	return s
}

package batch

import (
	"math/bits"
	"slices"
)

// sortSpread sorts s by less, of which key gives the most significant part: a
// smaller element has no larger key. Where keys are spread evenly, as hashes
// are, or times, it takes a few passes instead of a comparison for each
// doubling: elements go to buckets by the upper bits of their keys, and again
// within a bucket, which lies in the cache, until there are some tens left.
// Keys that are not spread cost what a sort by comparisons does.
// Tmp has room for s.
func sortSpread[T any](s, tmp []T, key func(*T) uint64, compare func(a, b T) int) {
	const (
		few     = 24
		buckets = 1 << 11 // as many as there are lines in the cache to write to
	)
	if len(s) <= few {
		slices.SortFunc(s, compare)
		return
	}
	least, most := key(&s[0]), key(&s[0])
	inOrder := true
	for i := range s {
		k := key(&s[i])
		inOrder = inOrder && k >= most
		least, most = min(least, k), max(most, k)
	}
	if inOrder && slices.IsSortedFunc(s, compare) {
		return
	}
	if least == most {
		slices.SortFunc(s, compare)
		return
	}
	wanted := min(bits.Len(uint(len(s)/8)), bits.Len(buckets)-1)
	shift := max(bits.Len64(most-least)-wanted, 0)
	var all [buckets + 1]int32
	ends := all[:1<<wanted+1] // ends[b] is where bucket b begins, at first
	for i := range s {
		ends[(key(&s[i])-least)>>shift+1]++
	}
	largest := int32(0)
	for b := range len(ends) - 1 {
		largest = max(largest, ends[b+1])
		ends[b+1] += ends[b]
	}
	if int(largest) > len(s)/2 {
		slices.SortFunc(s, compare)
		return
	}
	tmp = tmp[:len(s)]
	for i := range s {
		b := (key(&s[i]) - least) >> shift
		tmp[ends[b]] = s[i]
		ends[b]++
	}
	copy(s, tmp)
	from := int32(0)
	for _, to := range ends[:len(ends)-1] {
		if to > from+1 {
			sortSpread(s[from:to], tmp[from:to], key, compare)
		}
		from = to
	}
}

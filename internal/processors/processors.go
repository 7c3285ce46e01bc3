// Package processors tells how many processors this process may use, which is
// not how many of its goroutines Go runs at once: a program that syncs files
// gives Go more places than there are processors.
//
// A sync is a system call that Go does not know to be long: it holds the place
// of its goroutine until Go looks around, which takes up to 10 ms. Two syncs at
// once held both places of a machine with two processors, and everything else
// waited while the processors had nothing to do (docs/proposals/021).
package processors

import (
	"os"
	"runtime"
)

// count is Go's own number, from before anyone changes it: the processors of
// the machine, or fewer where the process's group may use fewer.
var count = runtime.GOMAXPROCS(0)

// spare is how many places more there are: one for the sync of each of as many
// partitions as a log has by default.
const spare = 4

// Count is how many processors this process may use, as it was when it began.
// Who divides work among processors asks this, not GOMAXPROCS.
func Count() int { return count }

// ButOne is how many processors leave one to others, and 1 where there is no
// other.
func ButOne() int { return max(1, count-1) }

// Widen gives Go places for system calls that are long, unless GOMAXPROCS has
// been set by hand. It is for programs, of which there is one in a process.
func Widen() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(count + spare)
	}
}

//go:build unix

package faultdisk

import "syscall"

// Harm is what happens to a call. The zero Harm is none.
type Harm struct {
	Err   error // what the caller gets; nil: the call is not harmed
	After bool  // it has its effect all the same
	// Short, for a write: a random part of it is written. For other calls it
	// means nothing.
	Short bool
}

// The faults of a disk. A failed sync, of a file or a folder, is worse than
// others: what was to be synced is on the disk or not, in any part, and later
// syncs do not write it, since the kernel believes it written.
var (
	EIO       = Harm{Err: syscall.EIO}
	ENOSPC    = Harm{Err: syscall.ENOSPC}
	ShortFull = Harm{Err: syscall.ENOSPC, Short: true}
)

// Rule chooses the calls that are harmed. It is called under a lock, in the
// order of Call.N.
type Rule func(Call) (Harm, bool)

// Nth harms the nth call, counted from 0, of the given kinds; of any kind when
// none is given.
func Nth(n int, h Harm, of ...Op) Rule {
	return func(c Call) (Harm, bool) {
		if !among(c.Op, of) {
			return Harm{}, false
		}
		n--
		if n == -1 {
			return h, true
		}
		return Harm{}, false
	}
}

// From harms the nth call of the given kinds and all after it.
func From(n int, h Harm, of ...Op) Rule {
	return func(c Call) (Harm, bool) {
		if !among(c.Op, of) {
			return Harm{}, false
		}
		n--
		if n < 0 {
			return h, true
		}
		return Harm{}, false
	}
}

func among(op Op, of []Op) bool {
	for _, o := range of {
		if o == op {
			return true
		}
	}
	return len(of) == 0
}

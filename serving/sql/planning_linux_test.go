package sql

import (
	"os"
	"testing"
)

// A thread that plans for long gives way, and is gone afterwards; others stay as
// they are.
func TestPlanningForLongGivesWay(t *testing.T) {
	t.Parallel()
	thread := 0
	planning(func() { thread = threadID() })
	if nice, ok := niceOf(thread); ok && nice >= lowNice {
		t.Errorf("a short plan leaves a thread of priority %d", nice)
	}
	planning(func() {
		thread = threadID()
		until(t, "the priority has not fallen", func() bool {
			nice, _ := niceOf(thread)
			return nice >= lowNice
		})
	})
	if thread == os.Getpid() {
		return // the first thread of a program waits for its end instead, and runs nothing any more
	}
	until(t, "the thread is there still, and would run other things at that priority", func() bool {
		nice, ok := niceOf(thread)
		return !ok || nice < lowNice // gone, and its number perhaps another's
	})
}

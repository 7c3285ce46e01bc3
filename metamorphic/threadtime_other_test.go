//go:build !linux

package metamorphic

import "time"

// threadTime is the time of day, where nobody tells the thread's.
func threadTime() time.Duration { return time.Duration(time.Now().UnixNano()) }

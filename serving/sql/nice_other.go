//go:build !linux

package sql

func threadID() int { return 0 }

// setNice does nothing: elsewhere a thread has no priority of its own.
func setNice(thread, nice int) {}

// setName does nothing.
func setName(name string) {}

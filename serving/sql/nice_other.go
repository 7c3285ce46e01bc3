//go:build !linux

package sql

func threadID() int { return 0 }

// setNice and what is below do nothing: elsewhere a thread has no priority of its
// own.
func setNice(thread, nice int) {}

func setName(name string) {}

func setPatient(thread int) {}
func endPatient(thread int) {}

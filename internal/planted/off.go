//go:build !planted

package planted

// On is false in a program that is not built to be wrong.
func On(Fault) bool { return false }

// Package planted lists faults that are built into the program when it is
// built with the tag "planted", one of them chosen by the environment. They
// show that the tests catch them: a test that finds no planted fault would
// not find a real one either. Without the tag they are not in the program.
package planted

// Fault is the name of a planted fault.
type Fault string

// Env is the environment variable that chooses the fault.
const Env = "ANABRANCH_PLANTED"

// The faults. Each has one place in the program that asks for it.
const (
	AckBeforeSync Fault = "ack-before-sync" // a send is acknowledged before the log has it
)

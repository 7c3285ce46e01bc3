package sql

import "slices"

var (
	FailCallsFrom = failCallsFrom
	CallsChecked  = callsChecked
	LeaveBlocks   = leaveBlocks
	PiecesHeld    = piecesHeld
)

// FailWell are the functions that may fail anywhere.
func FailWell() []string {
	var names []string
	for n := range failWell {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

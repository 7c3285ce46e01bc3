package sql

import "slices"

var (
	FailCallsFrom = failCallsFrom
	CallsChecked  = callsChecked
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

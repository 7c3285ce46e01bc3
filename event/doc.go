// Package event says what an event is, where it stands in the log, and how
// many of them travel together.
//
// Events never travel alone: a [Batch] holds many of them as columns, a frame
// ([Header] and body) carries one batch through the log. A [Position] is the
// place an event got once and keeps for ever; a [Cut] is the border between
// what batch has counted and what speed counts.
package event

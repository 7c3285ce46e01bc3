// Package view is the fold, written once: speed and batch both use it.
//
// A view is one SELECT over the events of a pipeline. [Compile] lets DuckDB
// parse, bind and type it, then turns the supported part into closures over
// whole columns: WHERE, the keys and the arguments of the aggregates run over
// a batch of events, and the expressions around the aggregates run over the
// finished groups. What a view returns is what DuckDB returns for the same
// SELECT over the same rows; everything not supported is refused by name, with
// its place in the text and what to write instead.
//
// A [View] is immutable and shared by goroutines; a [State] holds the groups
// and belongs to one goroutine at a time.
package view

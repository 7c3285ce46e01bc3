package view

import "anabranch/event"

// program is a compiled view as the group table sees it. It is immutable and
// shared by goroutines.
type program struct {
	keys []event.Type
	aggs []aggregate

	// newEval makes an evaluator with scratch of its own: one for each State,
	// used by one goroutine at a time.
	newEval func() evaluator

	// post turns finished groups into the SELECT list, row by row and in the
	// same order: groups has the columns keys, then aggs (of type out). The
	// error is Invalid: an expression over aggregates failed (a bad cast, an
	// overflow). groups is not changed, but the result may share its columns.
	post func(groups *event.Batch) (*event.Batch, error)
}

// evaluator applies WHERE and evaluates keys and aggregate arguments over the
// asked rows of b (nil: all of them). What it returns is valid until its next
// call, except that a Dict is only ever appended to: a dictionary met again at
// the same address holds the same values under the same codes, perhaps more.
type evaluator func(b *event.Batch, rows []uint32) (*inputs, error)

// inputs are the rows that passed WHERE, as dense columns of n rows.
type inputs struct {
	n    int
	keys []event.Column // one for each of program.keys
	args []event.Column // the slots that aggregates name; shared between them

	// failed marks the rows whose expressions failed (an overflow, a bad
	// cast); nil means none. A failed row belongs to the group of its keys
	// (a key that failed is null) and makes that group's result an error;
	// its columns hold no meaning. why is the first such failure.
	failed event.Bitmap
	why    error
}

// aggFunc is what an aggregate computes.
type aggFunc uint8

// The aggregates. Arguments that are null are skipped, as are rows whose
// filter is not true; an aggregate of no rows is null, a count is 0.
const (
	aggCountStar      aggFunc = iota + 1 // rows; out Int64
	aggCount                             // arguments that are not null; out Int64
	aggSum                               // Int32, Int64 -> Huge; Decimal(p,s) -> Decimal(38,s); Float64 -> Float64, exact until rounded once
	aggMin                               // any type, out the same; false < true, bytes by value, NaN above all
	aggMax                               // as aggMin
	aggAvg                               // Int32, Int64, Huge, Decimal, Float64 -> Float64
	aggCountDistinct                     // exact; out Int64
	aggApproxDistinct                    // sketch; out Int64
	aggApproxQuantile                    // sketch, numbers, out the same type as in
	aggArgMin                            // arg of the row with the smallest by; rows where either is null are skipped; of equal by the smallest arg wins
	aggArgMax                            // arg of the row with the largest by; of equal by the largest arg wins
)

// aggregate is one aggregate of a view. Two aggregates of one view are never
// the same.
type aggregate struct {
	fn       aggFunc
	arg      int        // slot in inputs.args; -1 for aggCountStar
	by       int        // slot in inputs.args of what aggArgMin and aggArgMax order by; else -1
	filter   int        // slot in inputs.args of a Bool column, or -1: all rows
	in       event.Type // of arg
	byType   event.Type // of by
	out      event.Type // of the finished value
	quantile float64    // aggApproxQuantile: 0..1
}

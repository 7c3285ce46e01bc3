// Package batch recomputes the past: it turns the sealed segments below a
// barrier into day files and view files and publishes them as one manifest.
//
// It is a library of steps, each of which may be repeated, stopped half way or
// run twice at once, on any machine:
//
//	NextBarrier, AppendBarriers, Sealed     a nightly fixes its cut
//	Plan                                    what there is to do, from one manifest
//	Compact    for each partition           what counts, by event day; its ids
//	Spread                                  which days to fold, in units of work
//	Fold       for each unit                a state of each view and day
//	Gather                                  which results to finish, in units of work
//	Finish     for each unit                finished rows of a view and period
//	Verify                                  nothing was lost, nothing twice
//	Publish                                 one conditional put
//
// A compaction, which computes nothing, has other steps between Plan and
// Verify: Pack, for each unit, puts small files together.
//
// What a step makes stands under new names, in notes beside the plan; only
// Publish changes what anybody sees. A step whose note is there returns it and
// does nothing, so a run that died goes on where it stopped. The loser of
// Publish plans again from the winner, in a new run. [Run] takes all steps in
// one process; package activities takes them one by one.
package batch

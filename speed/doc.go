// Package speed keeps up: it folds every event into memory within
// milliseconds and answers with everything that batch has not counted yet.
//
// One loop per partition reads the log in order. For each frame it checks and
// decodes the bytes, finds the events whose id was seen before (in memory for
// ids above the cut, in the archive's id runs for those below), applies the
// filter rules and folds what is left into the states of the newest
// generation. A generation holds the events between two barriers; the first
// occurrence of barrier k in log order closes one and opens the next.
//
// [Speed.Since] adds up the generations at and above a cut. Generations below
// a published cut are forgotten, after a grace period for readers that still
// hold the older manifest; who asks for one of them is told to pin again.
//
// Exactness rests on three rules that a model of the whole seam forced on us:
//
//   - A partition adopts a manifest (its id runs, what may be forgotten) only
//     after it has itself passed that manifest's cut. Before that, the runs
//     would call events duplicates which are about to be folded for the first
//     time.
//   - A snapshot is one consistent whole: states, ids and the next offset.
//     Nothing between two records is ever stored or shown.
//   - A partition may start empty at the newest cut instead of replaying, for
//     everything below it is in the batch views and the id runs.
package speed

// Package pace keeps batch work out of the way of events. Three parts, each of
// use alone:
//
//   - a Meter counts how long things take, a Hist is what it counted;
//   - a Controller decides, from how long things take now and how long they
//     took while no batch was at work, which share of the processors batches
//     may have. It is arithmetic with a clock, and does nothing by itself;
//   - a Pacer holds batch work to that share: work asks it for a turn, and
//     between two pieces of a few milliseconds whether it may go on.
package pace

// Package bench measures the program beside what a user would pick instead:
// the same data, the same machine, in turns, each side in a process of its own
// so that its processor time is counted apart, and every answer compared.
//
//   - payments.go makes the events, from a seed; data.go brings them to rest as
//     a pipeline does: segments, then day files.
//   - side.go is a process that does one thing again and again and says what
//     it took; ours.go and peer.go are the things; decode.go and fold.go are
//     those without a file.
//   - system.go measures the whole program under a load generator (load.go), in
//     rounds from an empty start to a kill and back (program.go).
//   - shapes.go are views of other kinds, beside the same peer.
//   - growth.go measures one thing on a history and on one ten times as long.
//   - suite.go runs the rows in turns, result.go keeps what came out, page.go
//     makes the tables of docs/benchmarks.md of it, and check.go compares with
//     what was kept before.
package bench

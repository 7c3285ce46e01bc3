// Package ingest admits: it is the front door, through which events get into
// the log.
//
// A request's body is decoded into columns, the quality rules are evaluated
// over whole columns, and the rows that pass are gathered, with those of other
// requests, into one growing frame for each partition. A frame is appended when
// it is large enough or its first row has lingered long enough. A request is
// answered when every frame that holds one of its rows is durable in the log,
// and every other event of it is a durable dead letter. So the answer is exact:
// accepted + dead-lettered = received, and none of it can be lost any more.
//
// # When something fails
//
// A request that is answered with an error may be repeated as it was, whatever
// the error was. Some of its events may be in the log already; their ids make
// the repetition harmless. Dead letters have no ids: a producer that wants them
// exact across repetitions gives each request a name of its own
// (Idempotency-Key), by which its letters replace those of the attempt before.
//
// # Full
//
// Everything that waits is bounded, and each bound has an answer:
//
//   - requests in progress: by the memory they may need, and by lane; refused
//     with "busy" (429) and the time after which to come again, longer for
//     lanes of lower priority;
//   - what it shares with others, see Load: refused with that load's code (429),
//     the lowest lane first;
//   - rows waiting for the log: by bytes; the request waits, which stops
//     reading its body, which stops its sender;
//   - the log: refused with "log_full" (507); for a moment after, requests are
//     refused before their body is read;
//   - one event, one body: by size, see schemas.MaxEvent and Limits.
package ingest

// Package natslog keeps the log in NATS JetStream: one stream for each
// partition, named AB_<pipeline>_p0003, in a server that runs inside this
// process or elsewhere.
//
// The offset of a record is its sequence in the stream. JetStream gives
// sequences without gaps, which is what makes damage visible here: a sequence
// that is missing above the trimmed part was lost.
//
// # What NATS does not tell
//
// Each of these was measured with nats-server v2.15.2, and each is why some
// code here is not shorter.
//
//   - With its default settings an acknowledged message is in the page cache
//     only, for up to two minutes: a copy of the disk taken at once held none
//     of 3000 acknowledged messages. The embedded server runs with SyncAlways.
//     A client cannot ask an external server for its setting; whoever gives a
//     URL answers for `sync_interval: always` there.
//   - One flipped bit on disk makes a message vanish: reads skip it without a
//     word. Readers here follow the sequence and call a hole Corrupt.
//   - How long a record's subject is stands under no checksum. With one bit of
//     it flipped the server delivers the record under a subject that reaches
//     into the frame. What such a subject holds breaks the client's connection,
//     and the next one at the same record, for ever, for all readers. A reader
//     that loses its consumer therefore asks for the record itself before it
//     makes another, compares the subject, and never has such a record
//     delivered again.
//   - A flipped bit found while a block is rebuilt (after kill -9 there is no
//     index to trust) makes the server cut that block off at the bit. At the
//     end of the log the lost sequences would be given to new messages. The
//     embedded form therefore notes beside the store how far it acknowledged;
//     a log that ends below its note refuses appends.
//   - It does so while it runs, too, when it reads a block again that it has
//     forgotten: the log becomes shorter under everybody. So the note is
//     compared with every look at a stream and every acknowledgement.
//   - A torn record at the end of the file, which kill -9 leaves behind, looks
//     the same to the server and is no damage: it was never acknowledged. The
//     note tells the two apart.
//   - Records of one stream are synced one by one, however many wait: eight
//     writers on one partition are no faster than one. Streams sync beside each
//     other. Whoever wants throughput appends larger frames.
//   - A stream that is full (DiscardNew) refuses with error 10077. A disk that
//     is full does not: publishers see a deadline pass. The embedded form asks
//     the file system before each append and refuses while there is still room
//     for everything else.
//   - MaxBytes of a stream is reserved against the limit of the whole store;
//     creation fails when the sum does not fit.
//   - Deliveries to a consumer without acknowledgements are gone when the
//     connection breaks; the next ones simply come. A reader here that sees a
//     hole asks for the record before it cries damage, and takes it when it is
//     there.
//   - Consumers without activity are removed after a while; the next pull
//     finds nobody. A reader here then makes itself a new one.
package natslog

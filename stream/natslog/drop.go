package natslog

import (
	"context"
	"encoding/binary"
	"os"

	"github.com/nats-io/nats.go/jetstream"
)

// The server deletes the blocks that a purge leaves empty while it holds what
// appends wait for: a dozen of 8 MiB took 300 ms. So many blocks go one by one,
// and appends in between.

// drop purges the records below a sequence.
func (l *log) drop(ctx context.Context, p *part, s jetstream.Stream, below uint64) error {
	if l.store.server != nil {
		for _, border := range borders(streamDir(l.store.opts.Dir, p.stream), below) {
			if err := s.Purge(ctx, jetstream.WithPurgeSequence(border)); err != nil {
				return err
			}
		}
	}
	return s.Purge(ctx, jetstream.WithPurgeSequence(below))
}

// borders returns the sequences that blocks of a stream begin with, from the
// second block on, in order, those below a sequence. What cannot be read is left
// out: it saves time alone.
func borders(folder string, below uint64) (out []uint64) {
	blocks, err := listBlocks(folder)
	if err != nil {
		return nil
	}
	for i, path := range blocks {
		seq := firstOf(path)
		switch {
		case seq >= below:
			return out
		case i > 0 && seq > 0:
			out = append(out, seq)
		}
	}
	return out
}

// firstOf returns the sequence of the first record of a block; 0: there is none.
func firstOf(path string) uint64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	var head [blockHead]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return 0
	}
	seq := binary.LittleEndian.Uint64(head[4:])
	if seq&(seqErased|seqTomb) != 0 {
		return 0
	}
	return seq
}

package natslog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"anabranch/fault"
	"anabranch/stream"
)

// Files is the log of one pipeline as the files of a stopped server hold it.
// They are read without a server, because a server that starts on a damaged
// block cuts off what stands behind the damage. Files is a [stream.Log] that
// cannot be written; a record that is damaged is Corrupt, named with file and
// place, and those behind it can be read.
type Files struct {
	pipeline string
	parts    []*filesPart
}

var _ stream.Log = (*Files)(nil)

// Flaw is something wrong in the files of a partition.
type Flaw struct {
	File     string
	At       int64  // byte in the file
	From, To uint64 // the records that are lost by it, To excluded; equal: none is
	Note     bool   // File only notes how far the partition was acknowledged; it may be deleted
	Err      error  // Corrupt, names file and place
}

// filesPart is one partition.
type filesPart struct {
	number      int
	folder      string
	blocks      []string
	sizes       []int64    // of the blocks
	records     []recordAt // by offset
	first, next uint64
	flaws       []Flaw
}

// recordAt is where the payload of a record lies.
type recordAt struct {
	offset uint64
	at     int64
	length int32
	block  int32
}

func streamName(pipeline string, number int) string {
	return fmt.Sprintf("AB_%s_p%04d", pipeline, number)
}

func streamDir(dir, stream string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", stream)
}

// OpenFiles looks at the log that an embedded server has left in dir. Nobody
// else uses dir meanwhile; nothing in it is changed.
func OpenFiles(dir, pipeline string, partitions int) (*Files, error) {
	f := &Files{pipeline: pipeline}
	for n := range partitions {
		p, err := openFilesPart(dir, pipeline, n)
		if err != nil {
			return nil, err
		}
		f.parts = append(f.parts, p)
	}
	return f, nil
}

func openFilesPart(dir, pipeline string, n int) (*filesPart, error) {
	p := &filesPart{number: n, first: 1, next: 1}
	name := streamName(pipeline, n)
	noted, err := p.readNote(filepath.Join(dir, noteFolder, name))
	if err != nil {
		return nil, err
	}
	folder := streamDir(dir, name)
	p.folder = folder
	trimmed, err := p.readMeta(folder, name)
	if err != nil {
		return nil, err
	}
	if begin, err := readBegin(filepath.Join(dir, noteFolder, name+beginSuffix)); err != nil {
		return nil, err
	} else if begin > 0 {
		if _, err := os.Stat(folder); os.IsNotExist(err) { // see SetAside: the server makes it when it starts
			trimmed, p.first, p.next = begin, begin, begin
		}
	}
	if p.blocks, err = listBlocks(folder); err != nil {
		return nil, err
	}
	var bad []badBytes
	for i := range p.blocks {
		more, err := p.scan(i, name, fmt.Sprintf("anabranch.%s.p%04d", pipeline, n))
		if err != nil {
			return nil, err
		}
		bad = append(bad, more...)
	}
	p.bounds(pipeline, trimmed, noted, bad)
	if noted == 0 && len(p.flaws) == 0 && p.next > 1 {
		p.noteForgotten(filepath.Join(dir, noteFolder, name))
	}
	return p, nil
}

// bounds finds out where the log begins and ends, and what is missing between.
func (p *filesPart) bounds(pipeline string, trimmed, noted uint64, bad []badBytes) {
	slices.SortStableFunc(p.records, func(a, b recordAt) int { return cmp.Compare(a.offset, b.offset) })
	p.records = slices.CompactFunc(p.records, func(a, b recordAt) bool { return a.offset == b.offset })
	i, _ := slices.BinarySearchFunc(p.records, trimmed, func(r recordAt, o uint64) int { return cmp.Compare(r.offset, o) })
	p.records = p.records[i:]
	p.first = max(trimmed, p.first)
	p.next = max(p.next, noted+1, p.first)
	if len(p.records) > 0 {
		p.next = max(p.next, p.records[len(p.records)-1].offset+1)
	}
	lost := func(from, to uint64) {
		f := Flaw{From: from, To: to}
		var where string
		for _, b := range bad { // the damage in front of what comes next
			if b.before < to && (b.behind > from || b.behind == 0) {
				f.File, f.At = p.blocks[b.block], b.at
				where = fmt.Sprintf("is damaged: %s, byte %d: %s", f.File, b.at, b.why)
				break
			}
		}
		if f.File == "" { // cut off between two records
			f.File, f.At = p.endBefore(from)
			where = fmt.Sprintf("is gone: %s ends at byte %d", f.File, f.At)
		}
		what := fmt.Sprintf("the record at offset %d", from)
		if to-from > 1 {
			what = fmt.Sprintf("one of the records at offsets %d to %d", from, to-1)
		}
		f.Err = fault.New(fault.Corrupt, "partition %d of %s: %s %s", p.number, pipeline, what, where)
		p.flaws = append(p.flaws, f)
	}
	at := p.first
	for _, r := range p.records {
		if r.offset > at {
			lost(at, r.offset)
		}
		at = r.offset + 1
	}
	if at < p.next {
		lost(at, p.next)
	}
	for _, b := range bad {
		// Damage without a loss: in what was trimmed, or half a record at the
		// end that kill -9 left and nobody was told of.
		torn := b.behind == 0 && b.before+1 >= p.next
		trimmed := b.behind > 0 && b.behind <= p.first
		named := slices.ContainsFunc(p.flaws, func(f Flaw) bool { return f.File == p.blocks[b.block] && f.At == b.at })
		if torn || trimmed || named {
			continue
		}
		p.flaws = append(p.flaws, Flaw{File: p.blocks[b.block], At: b.at, From: b.before + 1, To: b.before + 1,
			Err: fault.New(fault.Corrupt, "partition %d of %s: %s, byte %d: %s", p.number, pipeline, p.blocks[b.block], b.at, b.why)})
	}
}

// endBefore returns the file that the record at offset should follow in, and
// its size; the folder when there are no files.
func (p *filesPart) endBefore(offset uint64) (file string, size int64) {
	if len(p.blocks) == 0 {
		return p.folder, 0
	}
	block := 0
	for _, r := range p.records {
		if r.offset < offset {
			block = int(r.block)
		}
	}
	return p.blocks[block], p.sizes[block]
}

// readMeta returns the trim mark of a stream.
func (p *filesPart) readMeta(folder, name string) (trimmed uint64, err error) {
	path := filepath.Join(folder, "meta.inf")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		if _, err := os.Stat(folder); err == nil {
			p.flaw(path, "it is missing, so that the server does not find the stream")
		}
		return 0, nil
	}
	if err != nil {
		return 0, diskFault(err, "read %s", path)
	}
	sum, err := os.ReadFile(filepath.Join(folder, "meta.sum"))
	if err != nil && !os.IsNotExist(err) {
		return 0, diskFault(err, "read %s", filepath.Join(folder, "meta.sum"))
	}
	if string(sum) != metaSum(name, text) {
		p.flaw(path, "it does not match the checksum in meta.sum beside it; the server does not find the stream")
		return 0, nil
	}
	var info jetstream.StreamConfig
	if err := json.Unmarshal(text, &info); err != nil {
		p.flaw(path, "it is not the configuration of a stream: "+err.Error())
		return 0, nil
	}
	if mark := info.Metadata[metaTrimmed]; mark != "" {
		if trimmed, err = strconv.ParseUint(mark, 10, 64); err != nil {
			p.flaw(path, fmt.Sprintf("its trim mark %q is not an offset", mark))
		}
	}
	return trimmed, nil
}

// readNote returns how far the partition was acknowledged.
func (p *filesPart) readNote(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(b) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, diskFault(err, "read %s", path)
	}
	last, ok := parseNote(b)
	if !ok {
		p.flaw(path, "it does not match its checksum; the server makes it anew")
		p.flaws[len(p.flaws)-1].Note = true
	}
	return last, nil
}

// noteForgotten tells of a note that is there and says nothing, though records
// were acknowledged: a power cut may leave one, and so does a cut file.
func (p *filesPart) noteForgotten(path string) {
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		p.flaw(path, "it is empty, and the partition is not; the server makes it anew")
		p.flaws[len(p.flaws)-1].Note = true
	}
}

// flaw notes damage that takes no record away.
func (p *filesPart) flaw(path, what string) {
	p.flaws = append(p.flaws, Flaw{File: path, Err: fault.New(fault.Corrupt, "partition %d: %s: %s", p.number, path, what)})
}

func blockNumber(path string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".blk"))
	return n
}

// Flaws returns what is wrong in a partition.
func (f *Files) Flaws(partition int) []Flaw { return f.parts[partition].flaws }

// Partitions implements stream.Log.
func (f *Files) Partitions() int { return len(f.parts) }

// Bounds implements stream.Log.
func (f *Files) Bounds(_ context.Context, partition int) (first, next uint64, err error) {
	if err := stream.CheckPartition(len(f.parts), partition); err != nil {
		return 0, 0, err
	}
	p := f.parts[partition]
	return p.first, p.next, nil
}

// Append implements stream.Log; it is Invalid.
func (f *Files) Append(context.Context, int, []byte) (uint64, error) {
	return 0, fault.New(fault.Invalid, "append to the files of a stopped log")
}

// Trim implements stream.Log; it is Invalid.
func (f *Files) Trim(context.Context, int, uint64) error {
	return fault.New(fault.Invalid, "trim the files of a stopped log")
}

// Close implements stream.Log.
func (f *Files) Close() error { return nil }

// Read implements stream.Log. Behind the last record Next is NotFound: nothing
// more will come.
func (f *Files) Read(_ context.Context, partition int, from uint64) (stream.Reader, error) {
	if err := stream.CheckPartition(len(f.parts), partition); err != nil {
		return nil, err
	}
	p := f.parts[partition]
	from = max(from, 1)
	switch {
	case from < p.first:
		return nil, stream.ErrTrimmed
	case from > p.next:
		return nil, fault.New(fault.Corrupt, "read partition %d of %s from %d: the log ends at %d", partition, f.pipeline, from, p.next)
	}
	return &filesReader{part: p, next: from}, nil
}

type filesReader struct {
	part  *filesPart
	next  uint64
	block int
	file  *os.File // of block; nil: none is open
}

// Next implements stream.Reader.
func (r *filesReader) Next(context.Context) ([]stream.Record, error) {
	if r.next >= r.part.next {
		return nil, fault.New(fault.NotFound, "the log ends at %d", r.next)
	}
	i, _ := slices.BinarySearchFunc(r.part.records, r.next, func(at recordAt, o uint64) int { return cmp.Compare(at.offset, o) })
	var got []stream.Record
	for bytes := 0; i < len(r.part.records) && r.part.records[i].offset == r.next && len(got) < maxAhead && bytes < returnBytes; i++ {
		at := r.part.records[i]
		data, err := r.read(at)
		if err != nil {
			return nil, err
		}
		got = append(got, stream.Record{Offset: at.offset, Frame: data})
		bytes += len(data)
		r.next++
	}
	if len(got) > 0 {
		return got, nil
	}
	for _, f := range r.part.flaws {
		if f.From <= r.next && r.next < f.To {
			return nil, f.Err
		}
	}
	return nil, fault.New(fault.Bug, "partition %d: the record at offset %d is neither there nor missing", r.part.number, r.next)
}

func (r *filesReader) read(at recordAt) ([]byte, error) {
	if r.file == nil || r.block != int(at.block) {
		r.Close()
		f, err := os.Open(r.part.blocks[at.block])
		if err != nil {
			return nil, diskFault(err, "read the log")
		}
		r.file, r.block = f, int(at.block)
	}
	data := make([]byte, at.length)
	if _, err := r.file.ReadAt(data, at.at); err != nil {
		return nil, diskFault(err, "read %s", r.part.blocks[at.block])
	}
	return data, nil
}

// Close implements stream.Reader.
func (r *filesReader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

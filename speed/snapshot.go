package speed

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/view"
)

// A snapshot is the whole state of one partition between two records.
// docs/formats/snapshot.md describes its bytes.
const (
	snapshotMagic   = "ABSS"
	snapshotVersion = 1
	snapshotHead    = 4 + 4 + 8 + 4 // magic, version, length of the rest, CRC-32C
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshot is a decoded snapshot.
type snapshot struct {
	pipeline   string
	partition  int
	partitions int
	created    time.Time
	next       uint64
	maxTime    int64
	manifest   uint64 // the known manifest's version
	k, cut     uint64 // and its barrier and cut
	gens       []*generation
	hot        hot
}

// errOtherViews says that a snapshot is whole but holds states of other view
// versions or filter rules than this program folds.
var errOtherViews = fault.New(fault.Conflict, "the views or filter rules have changed since")

// encode returns a snapshot of p. Only the loop calls it, which alone changes
// what it reads.
func (p *partition) encode() ([]byte, error) {
	le := binary.LittleEndian
	o := p.opt
	size := p.hot.n*24 + len(p.hot.frame)*16 + 4096
	p.mu.Lock() // readers have the states keep track of what changes
	for _, g := range p.gens {
		for _, s := range g.states {
			size += int(s.Bytes())
		}
	}
	p.mu.Unlock()
	b := make([]byte, 0, size)
	b = append(b, snapshotMagic...)
	b = le.AppendUint32(b, snapshotVersion)
	b = append(b, make([]byte, 12)...) // length and CRC, below

	b = appendText(b, o.Pipeline)
	b = le.AppendUint32(b, uint32(p.n))
	b = le.AppendUint32(b, uint32(o.Log.Partitions()))
	b = le.AppendUint64(b, uint64(o.Clock.Now().UnixMicro()))
	next := p.next.Load()
	if planted.On(planted.SnapshotAhead) {
		next++
	}
	b = le.AppendUint64(b, next)
	b = le.AppendUint64(b, uint64(p.maxTime))
	b = le.AppendUint64(b, p.known.Version)
	b = le.AppendUint64(b, p.known.K)
	b = le.AppendUint64(b, p.cutOf(p.known))

	b = appendText(b, o.rules())
	b = le.AppendUint32(b, uint32(len(o.Filters)))
	b = le.AppendUint32(b, uint32(len(o.Views)))
	for _, v := range o.Views {
		b = appendText(b, v.Name())
		b = appendText(b, v.Version())
	}
	b = le.AppendUint32(b, uint32(len(p.gens)))
	for _, g := range p.gens {
		b = le.AppendUint64(b, g.k)
		for _, n := range append([]int64{g.counted, g.duplicates, g.conflicts}, g.filtered...) {
			b = le.AppendUint64(b, uint64(n))
		}
		for i, s := range g.states {
			at := len(b)
			b = le.AppendUint64(b, 0)
			var err error
			if b, err = s.AppendBinary(b); err != nil {
				return nil, fmt.Errorf("state of view %q: %w", o.Views[i].Name(), err)
			}
			le.PutUint64(b[at:], uint64(len(b)-at-8))
		}
		b = le.AppendUint32(b, 0) // until: kept aside for imports, none yet
	}
	b = p.hot.append(b)
	b = le.AppendUint64(b, 0) // imported ids, none yet

	le.PutUint64(b[8:], uint64(len(b)-snapshotHead))
	le.PutUint32(b[16:], crc32.Checksum(b[snapshotHead:], castagnoli))
	return b, nil
}

// append writes the ids with the frames they came with.
func (h *hot) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(len(h.frame)))
	b = le.AppendUint64(b, uint64(h.n))
	for _, f := range h.frame {
		b = le.AppendUint64(b, f.offset)
		b = le.AppendUint64(b, uint64(f.place))
	}
	for p := 0; p < h.n; p++ {
		s := h.at(p)
		b = le.AppendUint64(b, s.id.Hi)
		b = le.AppendUint64(b, s.id.Lo)
		b = le.AppendUint64(b, s.hash)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// decode reads a snapshot that encode wrote. The error is Corrupt for damaged
// bytes and errOtherViews when the states do not fit o.
func decode(o *Options, data []byte) (*snapshot, error) {
	damaged := func(what string, args ...any) error {
		return fault.New(fault.Corrupt, "snapshot: "+what, args...)
	}
	if len(data) < snapshotHead || string(data[:4]) != snapshotMagic {
		return nil, damaged("%d bytes that do not begin with %q", len(data), snapshotMagic)
	}
	le := binary.LittleEndian
	if v := le.Uint32(data[4:]); v != snapshotVersion {
		return nil, damaged("version %d; this program reads version %d", v, snapshotVersion)
	}
	body := data[snapshotHead:]
	if n := le.Uint64(data[8:]); n != uint64(len(body)) {
		return nil, damaged("holds %d bytes behind its header, which announces %d", len(body), n)
	}
	if want, got := le.Uint32(data[16:]), crc32.Checksum(body, castagnoli); want != got {
		return nil, damaged("checksum is %08x, its bytes give %08x", want, got)
	}
	r := &cursor{left: body}
	s := &snapshot{}
	s.pipeline = r.text()
	s.partition, s.partitions = int(r.u32()), int(r.u32())
	s.created = time.UnixMicro(int64(r.u64())).UTC()
	s.next, s.maxTime = r.u64(), int64(r.u64())
	s.manifest, s.k, s.cut = r.u64(), r.u64(), r.u64()

	rules, filters := r.text(), int(r.u32())
	if r.bad {
		return nil, damaged("ends too early")
	}
	names := make([]string, r.count(8))
	versions := make([]string, len(names))
	fits := map[string]bool{}
	for i := range names {
		names[i], versions[i] = r.text(), r.text()
	}
	index := make([]int, len(names)) // of each stored view among o.Views, or -1
	for i := range names {
		index[i] = -1
		for j, v := range o.Views {
			if archive.ViewOf(v.Name()) == archive.ViewOf(names[i]) && v.Version() == versions[i] {
				index[i] = j
				fits[names[i]] = true
			}
		}
	}
	if r.bad {
		return nil, damaged("ends too early")
	}
	if rules != o.rules() || filters != len(o.Filters) || len(fits) != len(o.Views) {
		return nil, errOtherViews
	}
	for range r.count(8 + 24 + 4) {
		g := &generation{k: r.u64()}
		g.counted, g.duplicates, g.conflicts = int64(r.u64()), int64(r.u64()), int64(r.u64())
		for range filters {
			g.filtered = append(g.filtered, int64(r.u64()))
		}
		g.states = make([]*view.State, len(o.Views))
		for i := range names {
			bytes := r.take(r.u64())
			if r.bad {
				return nil, damaged("ends inside the state of view %q", names[i])
			}
			if index[i] < 0 {
				continue // a view that is gone
			}
			g.states[index[i]] = o.Views[index[i]].New()
			if err := g.states[index[i]].UnmarshalBinary(bytes); err != nil {
				return nil, fmt.Errorf("snapshot: state of view %q: %w", names[i], err)
			}
		}
		if r.u32() != 0 {
			return nil, damaged("holds states kept aside for imports, which this program does not know")
		}
		s.gens = append(s.gens, g)
	}
	if !s.hot.read(r) || r.u64() != 0 || r.bad || len(r.left) != 0 || len(s.gens) == 0 {
		return nil, damaged("its parts do not fit together")
	}
	return s, nil
}

// read reads what append wrote and reports whether it makes sense.
func (h *hot) read(r *cursor) bool {
	frames, ids := r.u64(), r.u64()
	if r.bad || frames > uint64(len(r.left))/16 || ids > uint64(len(r.left))/24 || (frames == 0) != (ids == 0) {
		return false
	}
	for i := range int(frames) {
		f := framed{r.u64(), int(r.u64())}
		switch {
		case i == 0 && f.place != 0, uint64(f.place) >= ids, f.place < 0:
			return false
		case i > 0 && (f.place <= h.frame[i-1].place || f.offset <= h.frame[i-1].offset):
			return false
		}
		h.frame = append(h.frame, f)
	}
	for range ids {
		id := event.ID{Hi: r.u64(), Lo: r.u64()}
		h.push(id, r.u64())
	}
	h.reindex()
	return !r.bad
}

// cursor reads numbers and never beyond the end: bad says that it would have.
type cursor struct {
	left []byte
	bad  bool
}

func (r *cursor) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.left)) {
		r.bad = true
		return nil
	}
	out := r.left[:n:n]
	r.left = r.left[n:]
	return out
}

func (r *cursor) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *cursor) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *cursor) text() string { return string(r.take(uint64(r.u32()))) }

// count reads how many things of at least size bytes follow.
func (r *cursor) count(size int) int {
	n := r.u32()
	if uint64(n)*uint64(size) > uint64(len(r.left)) {
		r.bad = true
		return 0
	}
	return int(n)
}

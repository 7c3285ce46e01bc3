package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"

	"anabranch/fault"
	"anabranch/internal/packed"
)

// A manifest says of nearly all files what the one before it said. So what is
// published is put together of pieces: neighbours in one of its lists, with
// their JSON and a zstd frame of that. A piece that says the same as one of the
// last manifest published here is taken from there. Where a piece ends is told
// by its last entry alone: an entry that comes or goes changes its own piece.

const (
	// pieceEnds: one in so many entries ends a piece.
	pieceEnds = 64
	// pieceMost is how many entries a piece has at most.
	pieceMost = 4 * pieceEnds
	// pieceFrame is how many bytes of JSON are worth a zstd frame of their own;
	// shorter pieces share one with what is new around them.
	pieceFrame = 1 << 10
)

// piece is the JSON of some neighbours in a list.
type piece[E any] struct {
	entries []E
	first   bool   // in its list; otherwise text begins with a comma
	text    []byte // the brackets of the list are no part of it
	frame   []byte // nil: none of its own
}

// kept are the pieces of a manifest, by kind and by the name that their first
// entry has among those. They never change.
type kept struct {
	runs    map[string]*piece[Run]
	days    map[string]*piece[DayFile]
	states  map[string]*piece[StateFile]
	results map[string]*piece[ResultFile]
	live    map[string]*piece[liveDay]
}

func newKept() *kept {
	return &kept{
		map[string]*piece[Run]{}, map[string]*piece[DayFile]{}, map[string]*piece[StateFile]{},
		map[string]*piece[ResultFile]{}, map[string]*piece[liveDay]{},
	}
}

// liveDay is an entry of ViewFiles.Live.
type liveDay struct {
	day  int32
	name string
}

// inPieces is a manifest as it is published.
type inPieces struct {
	hash   string // as Hash has it: of the same JSON
	object []byte
	kept   *kept
}

// inPieces encodes m, taking what it can from old.
func (m *Manifest) inPieces(old *kept) (*inPieces, error) {
	if old == nil {
		old = newKept()
	}
	p := &piecing{old: old, now: newKept(), hash: sha256.New()}
	p.manifest(m)
	p.flush()
	if p.err != nil {
		return nil, fault.New(fault.Bug, "encode manifest %d: %w", m.Version, p.err)
	}
	return &inPieces{hex.EncodeToString(p.hash.Sum(nil)), packed.Seal(p.frames...), p.now}, nil
}

// piecing puts one manifest together; after an error it does nothing.
type piecing struct {
	old, now *kept
	hash     hash.Hash
	fresh    []byte // JSON that is in no frame yet
	frames   [][]byte
	err      error
}

// manifest is encode with other means: byte for byte the same JSON.
func (p *piecing) manifest(m *Manifest) {
	c := *m
	if c.Format == 0 {
		c.Format = ManifestFormat
	}
	c.Runs, c.Days, c.Views = nil, nil, nil
	p.around(&c, `"runs":null,"days":null,"views":null`, func() {
		p.add(`"runs":`)
		if m.Runs == nil {
			p.add("null")
		} else {
			p.add("[")
			for i, runs := range m.Runs {
				if i > 0 {
					p.add(",")
				}
				pieceList(p, p.old.runs, p.now.runs, runs, runKind, "")
			}
			p.add("]")
		}
		p.add(`,"days":`)
		pieceList(p, p.old.days, p.now.days, m.Days, dayKind, "")
		p.add(`,"views":`)
		p.views(m.Views)
	})
}

func (p *piecing) views(views map[string]*ViewFiles) {
	if views == nil {
		p.add("null")
		return
	}
	p.add("{")
	for i, key := range slices.Sorted(maps.Keys(views)) {
		if i > 0 {
			p.add(",")
		}
		p.add(string(p.marshal(key)) + ":")
		files := views[key]
		if files == nil {
			p.add("null")
			continue
		}
		c := *files
		c.States, c.Live, c.Results = nil, nil, nil
		p.around(&c, `"states":null,"live":null,"results":null`, func() {
			p.add(`"states":`)
			pieceList(p, p.old.states, p.now.states, files.States, stateKind, key)
			p.add(`,"live":`)
			pieceList(p, p.old.live, p.now.live, liveDays(files.Live), liveKind, key)
			p.add(`,"results":`)
			pieceList(p, p.old.results, p.now.results, files.Results, resultKind, key)
		})
	}
	p.add("}")
}

// around adds the JSON of shell, in which what fill adds stands in the place of
// the lists that it has not. No text in JSON has quotes that are not escaped.
func (p *piecing) around(shell any, lists string, fill func()) {
	head, tail, there := bytes.Cut(p.marshal(shell), []byte(lists))
	if !there && p.err == nil {
		p.err = fault.New(fault.Bug, "there is no %s in a %T", lists, shell)
	}
	p.add(string(head))
	fill()
	p.add(string(tail))
}

func (p *piecing) marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil && p.err == nil {
		p.err = err
	}
	return text
}

func (p *piecing) add(text string) { p.fresh = append(p.fresh, text...) }

// flush has what is new in a frame.
func (p *piecing) flush() {
	if len(p.fresh) == 0 || p.err != nil {
		return
	}
	p.hash.Write(p.fresh)
	p.frames = append(p.frames, p.frame(p.fresh))
	p.fresh = p.fresh[:0]
}

func (p *piecing) frame(text []byte) []byte {
	frame, err := packed.Frame(text)
	if err != nil && p.err == nil {
		p.err = err
	}
	return frame
}

// kind says how a list of E is made of pieces.
type kind[E any] struct {
	brackets string
	name     func(*E) string // among those of one scope
	ends     func(*E) bool   // a piece; of pieceEnds entries one does
	same     func(a, b *E) bool
	inner    func(*piecing, []E) []byte // the JSON without brackets
}

var (
	runKind = kind[Run]{"[]", func(r *Run) string { return r.Name }, func(r *Run) bool { return sumEnds(r.Sum) },
		func(a, b *Run) bool { return *a == *b }, innerList[Run]}
	dayKind = kind[DayFile]{"[]", func(d *DayFile) string { return d.Name }, func(d *DayFile) bool { return sumEnds(d.Sum) },
		(*DayFile).same, innerList[DayFile]}
	stateKind = kind[StateFile]{"[]", func(s *StateFile) string { return s.Name }, func(s *StateFile) bool { return sumEnds(s.Sum) },
		(*StateFile).same, innerList[StateFile]}
	resultKind = kind[ResultFile]{"[]", func(r *ResultFile) string { return r.Name }, func(r *ResultFile) bool { return sumEnds(r.Sum) },
		func(a, b *ResultFile) bool { return *a == *b }, innerList[ResultFile]}
	liveKind = kind[liveDay]{"{}", func(l *liveDay) string { return strconv.Itoa(int(l.day)) }, func(l *liveDay) bool { return l.day%pieceEnds == 0 },
		func(a, b *liveDay) bool { return *a == *b }, innerLive}
)

// sumEnds takes one in pieceEnds SHA-256 in hex.
func sumEnds(sum string) bool {
	n := len(sum)
	return n >= 2 && sum[n-1] == '0' && sum[n-2] < '0'+4
}

// pieceList adds a list piece by piece.
func pieceList[E any](p *piecing, old, now map[string]*piece[E], list []E, k kind[E], scope string) {
	if list == nil {
		p.add("null")
		return
	}
	p.add(k.brackets[:1])
	for from := 0; from < len(list) && p.err == nil; {
		to := from + 1
		for to < len(list) && to-from < pieceMost && !k.ends(&list[to-1]) {
			to++
		}
		x := &piece[E]{entries: list[from:to:to], first: from == 0}
		key := scope + " " + k.name(&list[from])
		if o := old[key]; o != nil && o.first == x.first && k.sameAll(o.entries, x.entries) {
			x.text, x.frame = o.text, o.frame
		} else {
			p.encode(x.first, k.inner(p, x.entries), &x.text, &x.frame)
		}
		now[key] = x
		if x.frame == nil {
			p.fresh = append(p.fresh, x.text...)
		} else {
			p.flush()
			p.hash.Write(x.text)
			p.frames = append(p.frames, x.frame)
		}
		from = to
	}
	p.add(k.brackets[1:])
}

// encode makes the JSON and the frame of a piece.
func (p *piecing) encode(first bool, inner []byte, text, frame *[]byte) {
	if *text = inner; !first {
		*text = append(append(make([]byte, 0, 1+len(inner)), ','), inner...)
	}
	if len(*text) >= pieceFrame {
		*frame = p.frame(*text)
	}
}

func (k *kind[E]) sameAll(a, b []E) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if &a[i] != &b[i] && !k.same(&a[i], &b[i]) {
			return false
		}
	}
	return true
}

func innerList[E any](p *piecing, entries []E) []byte { return bare(p.marshal(entries)) }

func innerLive(p *piecing, entries []liveDay) []byte {
	m := make(map[int32]string, len(entries))
	for _, e := range entries {
		m[e.day] = e.name
	}
	return bare(p.marshal(m))
}

// bare takes the brackets away.
func bare(text []byte) []byte {
	if len(text) < 2 {
		return nil
	}
	return text[1 : len(text)-1]
}

// liveDays returns the entries in the order in which JSON has them: that of
// their days as text.
func liveDays(live map[int32]string) []liveDay {
	if live == nil {
		return nil
	}
	days := make([]liveDay, 0, len(live))
	for day, name := range live {
		days = append(days, liveDay{day, name})
	}
	slices.SortFunc(days, func(a, b liveDay) int { return int(a.day) - int(b.day) })
	if n := len(days); n > 0 && (days[0].day < 0 || len(strconv.Itoa(int(days[0].day))) < len(strconv.Itoa(int(days[n-1].day)))) {
		slices.SortFunc(days, func(a, b liveDay) int { return strings.Compare(strconv.Itoa(int(a.day)), strconv.Itoa(int(b.day))) })
	}
	return days
}

// same reports whether both have the same JSON.
func (d *DayFile) same(o *DayFile) bool {
	return d.Name == o.Name && d.Partition == o.Partition && d.K == o.K && d.Schema == o.Schema && d.Size == o.Size && d.Sum == o.Sum &&
		d.Plan == o.Plan && d.Gone == o.Gone && sameList(d.Segments, o.Segments) && sameList(d.Packed, o.Packed) &&
		(shared(d.Days, o.Days) || (d.Days == nil) == (o.Days == nil) && slices.EqualFunc(d.Days, o.Days, func(a, b DayRows) bool {
			return a.Day == b.Day && a.Rows == b.Rows && sameList(a.RowGroups, b.RowGroups)
		}))
}

// same reports whether both have the same JSON.
func (s *StateFile) same(o *StateFile) bool {
	return s.Name == o.Name && s.Rows == o.Rows && s.Size == o.Size && s.Sum == o.Sum && s.Memory == o.Memory && s.Parted == o.Parted &&
		sameList(s.Days, o.Days) && sameList(s.Groups, o.Groups)
}

func sameList[E comparable](a, b []E) bool {
	return shared(a, b) || (a == nil) == (b == nil) && slices.Equal(a, b)
}

// shared reports whether both are one list, as those are that one manifest has
// from the other: nobody changes them.
func shared[E any](a, b []E) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

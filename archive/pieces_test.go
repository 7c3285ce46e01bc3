package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"anabranch/event"
	"anabranch/internal/packed"
)

// changing makes one manifest after the other.
type changing struct {
	r *rand.Rand
	n int
}

func (c *changing) name() string {
	c.n++
	return fmt.Sprintf("%s/%d%s", []string{"a", `q"<&>`, "é\xff"}[c.r.IntN(3)], c.n, []string{"", "\u2028"}[c.r.IntN(2)])
}

func (c *changing) sum() string { return hashOf([]byte(fmt.Sprint(c.r.Uint64()))) }

// varied returns old with some entries replaced, added and taken away; when it has
// none, a list of fewer than most; sometimes an empty one, or none.
func varied[E any](c *changing, most int, old []E, make func() E) []E {
	switch c.r.IntN(30) {
	case 0:
		return nil
	case 1:
		return []E{}
	}
	out := slices.Clone(old)
	if len(out) == 0 {
		for range c.r.IntN(most) {
			out = append(out, make())
		}
	}
	for range c.r.IntN(4) {
		at := c.r.IntN(len(out) + 1)
		switch {
		case c.r.IntN(2) == 0 || at == len(out):
			out = slices.Insert(out, at, make())
		case c.r.IntN(2) == 0:
			out = slices.Delete(out, at, at+1)
		default:
			out[at] = make()
		}
	}
	return out
}

func (c *changing) day() DayFile {
	d := DayFile{
		Name: c.name(), Partition: c.r.IntN(3), K: c.r.Uint64N(5), Sum: c.sum(), Gone: c.r.IntN(5) == 0,
		Segments: varied(c, 3, nil, c.name), Packed: varied(c, 3, nil, func() DayChunk { return DayChunk{1, 2} }),
	}
	d.Days = varied(c, 3, nil, func() DayRows { return DayRows{1, 2, varied(c, 3, nil, func() int { return 3 })} })
	return d
}

func (c *changing) state() StateFile {
	return StateFile{Name: c.name(), Sum: c.sum(), Days: varied(c, 3, nil, func() int32 { return 4 }), Groups: varied(c, 3, nil, func() int64 { return 5 }), Parted: c.r.IntN(2) == 0}
}

func (c *changing) next(m *Manifest) *Manifest {
	n := *m
	n.Version, n.Parent, n.Reason = m.Version+1, m.Hash(), `"runs":null,"days":null,"views":null`
	n.Runs = varied(c, 3, m.Runs, func() []Run { return nil })
	for p := range n.Runs {
		n.Runs[p] = varied(c, 40, n.Runs[p], func() Run { return Run{Name: c.name(), Sum: c.sum()} })
	}
	n.Days = varied(c, 200, m.Days, c.day)
	if c.r.IntN(10) == 0 && len(n.Days) > 0 {
		n.Days[c.r.IntN(len(n.Days))].Gone = true
	}
	n.Views = maps.Clone(m.Views)
	if n.Views == nil && c.r.IntN(5) > 0 {
		n.Views = map[string]*ViewFiles{}
	}
	if n.Views != nil {
		key := []string{"a", "b.12345678", `c"`}[c.r.IntN(3)]
		var f ViewFiles
		if old := n.Views[key]; old != nil {
			f = *old
		}
		f.Version, f.Live = c.name(), maps.Clone(f.Live)
		f.States = varied(c, 200, f.States, c.state)
		f.Results = varied(c, 200, f.Results, func() ResultFile { return ResultFile{Name: c.name(), Sum: c.sum(), Unfinished: c.name()} })
		if f.Live == nil && c.r.IntN(5) > 0 {
			f.Live = map[int32]string{}
		}
		for range c.r.IntN(60) {
			if f.Live != nil {
				f.Live[c.r.Int32N(300)-20] = c.name()
			}
		}
		n.Views[key] = &f
	}
	return &n
}

// TestPiecesAreTheJSON: whatever is taken from the manifest before, the
// text and its hash are those of encoding the manifest whole.
func TestPiecesAreTheJSON(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		c := &changing{r: rand.New(rand.NewPCG(seed, 1))}
		m := &Manifest{Cut: event.Cut{1}}
		var old *kept
		for range 30 {
			m = c.next(m)
			want, err := m.encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.inPieces(old)
			if err != nil {
				t.Fatal(err)
			}
			text, err := packed.Unpack("m", got.object)
			if err != nil || !bytes.Equal(text, want) || got.hash != hashOf(want) {
				t.Fatalf("seed %d, version %d: %v\ngot  %s\nwant %s", seed, m.Version, err, text, want)
			}
			// Programs of old read it, and all tools that know zstd.
			tool, err := zstd.NewReader(bytes.NewReader(got.object))
			if err != nil {
				t.Fatal(err)
			}
			var plain bytes.Buffer
			_, err = tool.WriteTo(&plain)
			tool.Close()
			if err != nil || !bytes.Equal(plain.Bytes(), want) {
				t.Fatalf("seed %d, version %d: %v", seed, m.Version, err)
			}
			if old = got.kept; c.r.IntN(4) == 0 { // read back: no list is shared
				if m, err = decodeManifest("m", m.Version, got.object); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestWhatDidNotChangeIsNotEncodedAgain counts the pieces that are.
func TestWhatDidNotChangeIsNotEncodedAgain(t *testing.T) {
	t.Parallel()
	m := &Manifest{Version: 1, Views: map[string]*ViewFiles{"v": {Live: map[int32]string{}}}}
	sum := func(i int) string { return hashOf([]byte(fmt.Sprint(i))) }
	v := m.Views["v"]
	for i := range 2000 {
		m.Days = append(m.Days, DayFile{Name: fmt.Sprint("day", i), Sum: sum(i)})
		v.States = append(v.States, StateFile{Name: fmt.Sprint("state", i), Sum: sum(i)})
		v.Live[int32(20000+i)] = fmt.Sprint("state", i)
	}
	before, err := m.inPieces(nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Version++
	m.Days = slices.Insert(slices.Clone(m.Days), 500, DayFile{Name: "new", Sum: "1"})
	v = &ViewFiles{States: slices.Clone(v.States), Live: maps.Clone(v.Live)}
	m.Views["v"] = v
	v.States[300] = StateFile{Name: "other", Sum: "1"}
	v.Live[20300] = "other"
	after, err := m.inPieces(before.kept)
	if err != nil {
		t.Fatal(err)
	}
	all, fresh := 0, 0
	count(before.kept.days, after.kept.days, &all, &fresh)
	count(before.kept.states, after.kept.states, &all, &fresh)
	count(before.kept.live, after.kept.live, &all, &fresh)
	if all < 50 || fresh > 6 { // the one that ends with the entry before may have another end
		t.Fatalf("%d of %d pieces were encoded again", fresh, all)
	}
}

func count[E any](old, now map[string]*piece[E], all, fresh *int) {
	for key, p := range now {
		*all++
		if o := old[key]; o == nil || &o.text[0] != &p.text[0] {
			*fresh++
		}
	}
}

// TestSameLooksAtEveryField changes one after the other.
func TestSameLooksAtEveryField(t *testing.T) {
	t.Parallel()
	everyField(t, DayFile{}, (*DayFile).same)
	everyField(t, StateFile{}, (*StateFile).same)
	everyField(t, DayRows{}, func(a, b *DayRows) bool {
		return (&DayFile{Days: []DayRows{*a}}).same(&DayFile{Days: []DayRows{*b}})
	})
}

func everyField[E any](t *testing.T, none E, same func(a, b *E) bool) {
	t.Helper()
	if x, y := none, none; !same(&x, &y) {
		t.Errorf("two empty %T are not the same", none)
	}
	for i := range reflect.TypeFor[E]().NumField() {
		changed := none
		switch f := reflect.ValueOf(&changed).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int32, reflect.Int64:
			f.SetInt(1)
		case reflect.Uint32, reflect.Uint64:
			f.SetUint(1)
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		default:
			t.Fatalf("a field of kind %v", f.Kind())
		}
		a, _ := json.Marshal(none)
		b, _ := json.Marshal(changed)
		if bytes.Equal(a, b) || same(&none, &changed) || same(&changed, &none) {
			t.Errorf("%T: %s is not looked at", none, reflect.TypeFor[E]().Field(i).Name)
		}
	}
}

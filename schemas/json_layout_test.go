package schemas

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"anabranch/event"
)

// compareLayouts decodes NDJSON as it comes and, by a decoder that never learns
// how lines are written, line by line; both must find the same.
func compareLayouts(t testing.TB, s *Schema, id Identity, body []byte) (rows, bad int) {
	t.Helper()
	d := decoder(t, s, NDJSON, id)
	decodeCopied(t, d, bytes.NewReader(body)) // and once more, into the same columns
	got := decodeAll(t, d, bytes.NewReader(body))
	var want []decoded
	slowly := decoder(t, s, NDJSON, id)
	for n, line := range bytes.SplitAfter(body, newline) {
		slowly.layout = jsonLayout{}
		// A byte order mark is one in the first line only.
		above := newline[:min(n, 1)]
		one := decodeAll(t, slowly, bytes.NewReader(slices.Concat(above, line)))
		for i := range one.bad {
			one.bad[i].Line += n - len(above)
		}
		for i := range one.lines {
			one.lines[i] += n - len(above)
		}
		want = append(want, one)
	}
	for _, w := range want {
		for i := range w.bad {
			if bad == len(got.bad) || shownBad(got.bad[bad]) != shownBad(w.bad[i]) {
				t.Fatalf("%s is missing; instead: %s", shownBad(w.bad[i]), shownBad(got.bad[min(bad, len(got.bad)-1)]))
			}
			bad++
		}
		for i := range w.N {
			if rows == got.N {
				t.Fatalf("row %d is missing: %s", rows, w.raw[i])
			}
			if diff := sameBatch(got.Gather([]uint32{uint32(rows)}), w.Batch); diff != "" {
				t.Fatalf("row %d, %s: %s", rows, w.raw[i], diff)
			}
			if got.keys[rows] != w.keys[i] || got.lines[rows] != w.lines[i] || got.raw[rows] != w.raw[i] {
				t.Fatalf("row %d: key %x, line %d, %q; want key %x, line %d, %q", rows, got.keys[rows], got.lines[rows], got.raw[rows], w.keys[i], w.lines[i], w.raw[i])
			}
			rows++
		}
	}
	if rows != got.N || bad != len(got.bad) {
		t.Fatalf("%d rows and %d bad, want %d and %d", got.N, len(got.bad), rows, bad)
	}
	return rows, bad
}

func shownBad(b Bad) string {
	return fmt.Sprintf("%d:%d %s %s %q %q", b.Line, b.Column, b.Field, b.Code, b.Message, b.Raw)
}

// producer writes events of everything in one way, mostly.
type producer struct {
	r              *rand.Rand
	keys           []string
	colon, comma   string
	open, end      string
	whole, numeric bool // no field is left out; times are numbers
}

func newProducer(r *rand.Rand) *producer {
	p := &producer{r: r, whole: r.IntN(2) == 0, numeric: r.IntN(3) == 0}
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	p.colon, p.comma, p.open, p.end = pick(":", ":", ": ", " :\t"), pick(",", ",", ", ", " , "), pick("{", "{", " { "), pick("}\n", "}\n", " }\r\n", "} \n")
	p.keys = []string{"bool", "int", "long", "double", "string", "bytes", "enum", "dec", "wide", "date", "ms", "us", "local", "n", "s", "unknown", "an unknown of many letters"}
	r.Shuffle(len(p.keys), func(i, j int) { p.keys[i], p.keys[j] = p.keys[j], p.keys[i] })
	p.keys = append([]string{"id"}, p.keys[:r.IntN(len(p.keys))]...)
	if at := slices.Index(p.keys, "string"); at >= 0 && r.IntN(2) == 0 {
		p.keys[at] = pick("text", `str\u0069ng`)
	}
	return p
}

func (p *producer) line(n int) string {
	var b strings.Builder
	b.WriteString(p.open)
	for i, key := range p.keys {
		if i > 0 {
			if !p.whole && p.r.IntN(4) == 0 {
				continue
			}
			b.WriteString(p.comma)
		}
		fmt.Fprintf(&b, `"%s"%s%s`, key, p.colon, p.value(key, n))
	}
	return b.String() + p.end
}

func (p *producer) value(key string, n int) string {
	pick := func(of ...string) string { return of[p.r.IntN(len(of))] }
	if key != "id" && p.r.IntN(12) == 0 {
		return "null"
	}
	switch key {
	case "id":
		return fmt.Sprintf(`"%s%d"`, pick("", "e", "an identity of many letters ", `\"`), n)
	case "bool":
		return pick("true", "false")
	case "int", "long", "n":
		return pick("0", "-0", "7", "12345678", "-2147483648", fmt.Sprint(p.r.IntN(1e9)), "99999999999", "9223372036854775807", "-9223372036854775809", "12345678901234567890123")
	case "double", "dec", "wide":
		return pick("0", "2.5", "0.25", "-12.75", "999.99", "100", "1e2", "5.0000", "-0.0", "0.12345678901234567", "-179.1234567", "98765432109876543.21", "12345678901234567890", fmt.Sprintf("%d.%02d", p.r.IntN(1000), p.r.IntN(100)))
	case "enum":
		return pick(`"RED"`, `"BLUE"`, `"R\u0045D"`)
	case "date":
		return pick(`"2011-12-09"`, `"2012-02-29"`)
	case "ms", "us", "local":
		if p.numeric {
			return fmt.Sprint(p.r.Int64N(1e12))
		}
		return fmt.Sprintf(`"2011-12-%02d%s12:%02d:07%s"`, 1+p.r.IntN(31), pick("T", " "), p.r.IntN(60), pick("", "Z", ".5", ".123456Z", ".123456789+01:00"))
	case "unknown":
		return pick("1", `"x"`, `{"a":[1,"}"]}`, "[]", "true")
	}
	if p.r.IntN(300) == 0 {
		return `"` + strings.Repeat(pick("long", "l\u00f6ng", `l\"ng`), p.r.IntN(12000)) + `"`
	}
	return pick(`""`, `"a"`, `"seven b"`, `"eight by"`, `"nine byte"`, `"sixteen letters!"`, `"seventeen letters"`, `"\u00e9"`, `"é"`, `"\\"`, `"\\\""`, `"a\\\\\"b, \"\n"`, `"é\ud83d\ude00\/"`, `"\ud83d"`, `"\x"`, fmt.Sprintf(`"%08d"`, p.r.IntN(50)), fmt.Sprintf(`"%020d"`, p.r.IntN(50)))
}

// TestLayoutsAgainstLinesAlone: what is decoded in blocks, as lines before were
// written, is what each line says alone.
func TestLayoutsAgainstLinesAlone(t *testing.T) {
	t.Parallel()
	s, r := everything(t), seeded(t, 47)
	rows, bad := 0, 0
	for range 40 {
		id := Identity{Fields: []string{"id"}, Key: []string{"string"}}
		if r.IntN(3) == 0 {
			id.Time = "us"
		}
		var body []byte
		for range 1 + r.IntN(3) {
			p := newProducer(r)
			odd := []int{1000000, 100, 5}[r.IntN(3)]
			for n := range r.IntN(200) {
				line := []byte(p.line(n))
				if r.IntN(odd) == 0 {
					line = append(mutate(r, line), '\n')
				}
				body = append(body, line...)
			}
		}
		n, wrong := compareLayouts(t, s, id, body)
		rows, bad = rows+n, bad+wrong
	}
	if rows < 1000 || bad < 50 {
		t.Errorf("only %d rows and %d bad ones", rows, bad)
	}
}

// TestOneWayOfWritingIsReadInBlocks: the lines that a producer writes in its
// own way are compared, not parsed, as long as nothing is odd about them.
func TestOneWayOfWritingIsReadInBlocks(t *testing.T) {
	t.Parallel()
	d := decoder(t, mustParse(t, 1, cardAvro), NDJSON, Identity{Fields: []string{"event_id"}, Time: "event_time", Key: []string{"card"}})
	got := decodeAll(t, d, bytes.NewReader(payments(5000)))
	// The first line is parsed, and each that ends too close to the end of the window.
	if got.N != 5000 || d.layout.odd > 40 {
		t.Errorf("%d rows, %d of them parsed", got.N, d.layout.odd)
	}
	d.layout.odd = 0
	got = decodeAll(t, d, bytes.NewReader(bytes.ReplaceAll(payments(5000), []byte(`"C1`), []byte(`"Ç1`))))
	if got.N != 5000 || d.layout.odd > 40 {
		t.Errorf("%d rows with letters beyond ASCII, %d of them parsed", got.N, d.layout.odd)
	}
}

// TestBatchesKeepWhatTheyHave: a batch is its taker's for ever, whatever bodies the
// decoder reads behind it, empty ones among them, and whatever other batches were
// given back.
func TestBatchesKeepWhatTheyHave(t *testing.T) {
	t.Parallel()
	s := mustParse(t, 1, cardAvro)
	id := Identity{Fields: []string{"event_id"}, Time: "event_time", Key: []string{"card"}}
	d := decoder(t, s, NDJSON, id)
	lines := bytes.SplitAfter(payments(3000), newline)
	var batches []*event.Batch
	var bodies [][]byte
	r := seeded(t, 51)
	for range 60 {
		n := []int{0, 1, 7, 900, 1100}[r.IntN(5)]
		from := r.IntN(len(lines) - n)
		body := slices.Concat(lines[from : from+n]...)
		d.Reset(bytes.NewReader(body))
		for {
			rows, err := d.Next()
			if err == io.EOF {
				break
			}
			if err != nil || len(rows.Bad) > 0 {
				t.Fatal(err, rows.Bad)
			}
			bodies = append(bodies, body)
			if r.IntN(3) > 0 {
				batches = append(batches, rows.Batch)
				continue
			}
			batches = append(batches, concat(s.shape, []*event.Batch{rows.Batch}))
			d.GiveBack()
			d.GiveBack() // a second time, or before there is anything, says nothing
		}
	}
	for i, b := range batches {
		if diff := sameBatch(b, decodeAll(t, decoder(t, s, NDJSON, id), bytes.NewReader(bodies[i])).Batch); diff != "" {
			t.Fatalf("batch %d: %s", i, diff)
		}
	}
}

// TestLinesInNoOrder: where each line has its keys in another order, few are tried as
// the layout says and few learned; lines of one order are read in blocks again.
func TestLinesInNoOrder(t *testing.T) {
	t.Parallel()
	s, r := mustParse(t, 1, cardAvro), seeded(t, 53)
	d := decoder(t, s, NDJSON, Identity{Fields: []string{"event_id"}, Time: "event_time", Key: []string{"card"}})
	var body []byte
	for line := range bytes.Lines(payments(3000)) {
		parts := strings.Split(string(line[1:len(line)-2]), ",")
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		body = fmt.Appendf(body, "{%s}\n", strings.Join(parts, ","))
	}
	body = append(body, payments(3000)...)
	got := decodeAll(t, d, bytes.NewReader(body))
	if got.N != 6000 || len(got.bad) > 0 {
		t.Fatalf("%d rows, %d bad", got.N, len(got.bad))
	}
	// Learned last at most mostLeft lines into the second half.
	if d.layout.odd < 2500 || d.layout.odd > 3000+mostLeft+40 {
		t.Errorf("%d lines were parsed", d.layout.odd)
	}
	other := decodeAll(t, d, bytes.NewReader(payments(3000)))
	compareRows(t, got, other)
}

// compareRows compares the last rows of got with all of want.
func compareRows(t *testing.T, got, want decoded) {
	t.Helper()
	for i := range want.N {
		at := got.N - want.N + i
		if diff := sameBatch(got.Gather([]uint32{uint32(at)}), want.Gather([]uint32{uint32(i)})); diff != "" {
			t.Fatalf("row %d: %s", at, diff)
		}
	}
}

// TestKeys: each name is found, others are not, whatever their length and whatever
// stands behind them.
func TestKeys(t *testing.T) {
	t.Parallel()
	r := seeded(t, 54)
	word := func() string {
		b := make([]byte, 1+r.IntN(30))
		for i := range b {
			b[i] = "ab_"[r.IntN(3)]
		}
		return string(b)
	}
	for range 50 {
		names := map[string]int{}
		for len(names) < 1+r.IntN(40) {
			names[word()] = len(names)
		}
		table := newKeyTable(names)
		for name, want := range names {
			if field, next, plain := table.find([]byte(`x"`+name+`":12345678`), 2); !plain || field != want || next != len(name)+3 {
				t.Fatalf("%q is field %d, %d, %t", name, field, next, plain)
			}
		}
		for range 1000 {
			name := word()
			want, known := names[name]
			if !known {
				want = -1
			}
			if field, _, plain := table.find([]byte(`"`+name+`": null        `), 1); !plain || field != want {
				t.Fatalf("%q is field %d, want %d", name, field, want)
			}
		}
		if field, next, plain := table.find([]byte(`"" : null`), 1); !plain || field != -1 || next != 2 {
			t.Fatalf("no name is field %d, %d, %t", field, next, plain)
		}
		for _, odd := range []string{`"a\u0062": 1         `, `"é": 1         `, `"a`, `"a":1`} {
			if _, _, plain := table.find([]byte(odd), 1); plain {
				t.Fatalf("%s is plain", odd)
			}
		}
	}
}

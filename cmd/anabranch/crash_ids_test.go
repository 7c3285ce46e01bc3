package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/schemas"
)

// raw is what lies in the segments of the archive, read past the program: the
// events themselves, not what the views make of them. Segments never change,
// so each is read once.
type raw struct {
	read  map[string]bool     // segments
	lines map[event.ID]string // by id, as the first copy has them
	rows  int64               // copies too
	other []string            // complaints: one id with two contents
}

func newRaw() *raw { return &raw{read: map[string]bool{}, lines: map[event.ID]string{}} }

// more reads the segments that came since. The bucket is opened for as long
// as that takes: it may lie on a disk that is about to be unmounted.
func (w *raw) more(ctx context.Context, dir string) (err error) {
	def, err := schemas.ReadDefinition(os.DirFS("../../examples/retail"))
	if err != nil {
		return err
	}
	b, err := bucket.NewFile(dir)
	if err != nil {
		return err
	}
	defer b.Close()
	a := archive.Open(b, def.Name, schemas.NewSet(def.Schema), archive.Options{Partitions: def.Partitions})
	for p := range def.Partitions {
		all, err := a.Segments(ctx, p, 0)
		if err != nil {
			return err
		}
		for _, s := range all {
			if w.read[s.Name] {
				continue
			}
			w.read[s.Name] = true
			if err := a.ReadSegment(ctx, s, w.take); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *raw) take(b *event.Batch, _ []uint64, _ []int32) error {
	for i := range b.N {
		text := func(name string) string {
			if c := b.Column(name); c.Valid.Get(i) {
				return string(c.Bytes(i))
			}
			return ""
		}
		whole := func(name string) int64 { return b.Column(name).Ints[i] }
		at := time.UnixMicro(whole("InvoiceDate")).UTC().Format("2006-01-02 15:04:05")
		got := sameLine(text("InvoiceNo"), text("StockCode"), text("Description"), whole("Quantity"), at, whole("UnitPrice"), text("CustomerID"), text("Country"))
		w.rows++
		if was, known := w.lines[b.IDs[i]]; known && was != got {
			w.other = append(w.other, fmt.Sprintf("id %v is %q and %q", b.IDs[i], was, got))
		}
		w.lines[b.IDs[i]] = got
	}
	return nil
}

// sameLine is a line of the shop as one text, whoever has read it.
func sameLine(invoice, stock, description string, units int64, at string, milli int64, customer, country string) string {
	return strings.Join([]string{invoice, stock, description, strconv.FormatInt(units, 10), at, strconv.FormatInt(milli, 10), customer, country}, "\x00")
}

// compare holds the ids against the lines that were acknowledged: as many, the
// same, and their hashes with the same sum.
func (w *raw) compare(seen map[string]bool) (lost, double int, says []string) {
	says = slices.Clone(w.other)
	want := map[string]bool{}
	sums := [2]uint64{}
	for id := range seen {
		f := strings.Split(id, "\x00")
		units, err := strconv.ParseInt(f[quantity], 10, 64)
		if err != nil {
			panic(err)
		}
		line := sameLine(f[invoiceNo], f[stockCode], f[description], units, f[invoiceDate], milli(f[unitPrice]), f[customerID], f[country])
		want[line] = true
		sums[0] += hashOfLine(line)
	}
	ids := map[string]event.ID{}
	for id, line := range w.lines {
		sums[1] += hashOfLine(line)
		if other, known := ids[line]; known {
			double++
			says = append(says, fmt.Sprintf("%q has two ids, %v and %v", line, id, other))
		}
		if ids[line] = id; !want[line] {
			double++
			says = append(says, fmt.Sprintf("%q was never acknowledged", line))
		}
	}
	for line := range want {
		if _, there := ids[line]; !there {
			lost++
			says = append(says, fmt.Sprintf("%q is lost", line))
		}
	}
	if len(want) != len(seen) || len(w.lines) != len(seen) || sums[0] != sums[1] {
		says = append(says, fmt.Sprintf("%d ids whose hashes add up to %x, want %d and %x", len(w.lines), sums[1], len(seen), sums[0]))
	}
	return lost, double, says[:min(len(says), 10)]
}

func hashOfLine(line string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(line))
	return h.Sum64()
}

// ids compares the set of events in the archive with what was acknowledged,
// once everything is sealed. Nothing may be in doubt.
func (c *crash) ids(ctx context.Context, when string, inLog int64) {
	c.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if err := c.raw.more(ctx, c.bucket); err != nil {
			c.Fatalf("%s: read the segments: %v", when, err)
		}
		if c.raw.rows >= inLog {
			break
		}
		if time.Now().After(until) {
			c.Fatalf("%s: %d rows are sealed after %v, the log has %d", when, c.raw.rows, patience, inLog)
		}
	}
	c.truth.mu.Lock()
	seen := maps.Clone(c.truth.seen)
	c.truth.mu.Unlock()
	if _, _, says := c.raw.compare(seen); len(says) > 0 || c.raw.rows != inLog {
		c.Errorf("%s: the %d rows of the segments, %d in the log: %q", when, c.raw.rows, inLog, says)
	}
}

// What compare says of events that are lost, doubled or invented.
func TestRawEventsCompare(t *testing.T) {
	t.Parallel()
	a := "1\x00x\x00d\x006\x002011-01-01 10:00:00\x002.55\x00\x00France"
	b := strings.Replace(a, "6", "7", 1)
	line := func(units int64) string {
		return sameLine("1", "x", "d", units, "2011-01-01 10:00:00", 2550, "", "France")
	}
	for _, c := range []struct {
		name         string
		lines        map[event.ID]string
		seen         []string
		lost, double int
	}{
		{"equal", map[event.ID]string{{Lo: 1}: line(6), {Lo: 2}: line(7)}, []string{a, b}, 0, 0},
		{"lost", map[event.ID]string{{Lo: 1}: line(6)}, []string{a, b}, 1, 0},
		{"two ids", map[event.ID]string{{Lo: 1}: line(6), {Lo: 2}: line(6)}, []string{a}, 0, 1},
		{"invented", map[event.ID]string{{Lo: 1}: line(6), {Lo: 2}: line(7)}, []string{a}, 0, 1},
		{"one for another", map[event.ID]string{{Lo: 1}: line(6)}, []string{b}, 1, 1},
	} {
		seen := map[string]bool{}
		for _, s := range c.seen {
			seen[s] = true
		}
		lost, double, says := (&raw{lines: c.lines}).compare(seen)
		if lost != c.lost || double != c.double || (len(says) > 0) != (c.lost+c.double > 0) {
			t.Errorf("%s: %d lost, %d double: %q", c.name, lost, double, says)
		}
	}
}

// stages are the notes of a batch run, in their order.
var stages = []string{"plan", "compact", "spread", "fold", "gather", "finish"}

// stage tells how far the run has come that is not published yet, -1 when
// there is none: what it has left in the object store.
func (c *crash) stage() (run string, stage int) {
	stage = -1
	all, _ := os.ReadDir(filepath.Join(c.bucket, "retail", "work"))
	var newest time.Time
	for _, e := range all {
		if info, err := e.Info(); err == nil && info.ModTime().After(newest) {
			run, newest = e.Name(), info.ModTime()
		}
	}
	if run == "" {
		return "", -1
	}
	manifests, _ := os.ReadDir(filepath.Join(c.bucket, "retail", "manifests"))
	if n := len(manifests); n > 0 {
		if info, err := manifests[n-1].Info(); err == nil && info.ModTime().After(newest) {
			return run, -1 // published behind its last note, most likely by it
		}
	}
	for n, name := range stages {
		if found, _ := filepath.Glob(filepath.Join(c.bucket, "retail", "work", run, name+"*")); len(found) > 0 {
			stage = n
		}
	}
	return run, stage
}

package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"anabranch/cmd/anabranch/send"
)

// A line of the shop: the eight fields as they are written, and the code of
// what the pipeline must refuse it for, "" when it counts.
type line struct {
	fields []string
	code   string
}

// The fields by place.
const (
	invoiceNo = iota
	stockCode
	description
	quantity
	invoiceDate
	unitPrice
	customerID
	country
)

var shopHeader = []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}

// readDay reads a day file and judges its lines by the rules of the example's
// README.
func readDay(t *testing.T, path string) []line {
	t.Helper()
	in, _, err := send.Open(path, "", nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines []line
	for _, f := range rows[1:] {
		l := line{fields: f}
		switch {
		case strings.HasPrefix(f[invoiceNo], "A"):
			l.code = "adjustment"
		case milli(f[unitPrice]) == 0:
			l.code = "zero_price"
		}
		lines = append(lines, l)
	}
	return lines
}

// milli reads a price as thousandths, with integers only.
func milli(price string) int64 {
	whole, part, _ := strings.Cut(price, ".")
	n, err := strconv.ParseInt(whole+(part + "000")[:3], 10, 64)
	if err != nil {
		panic(fmt.Sprintf("price %q: %v", price, err))
	}
	return n
}

// spoil makes a line that must be refused.
func spoil(rng *rand.Rand, l line) line {
	f := append([]string{}, l.fields...)
	switch rng.IntN(3) {
	case 0:
		return line{f[:3+rng.IntN(4)], "malformed"}
	case 1:
		f[quantity] = "six"
		return line{f, "wrong_type"}
	}
	f[invoiceDate] = f[invoiceDate][:5] + "13-45 08:00:00"
	return line{f, "bad_date"}
}

// feed hands out lines for ever: those of the days opened so far, mixed, some
// of them twenty days late; when there is nothing new, lines that were sent
// before.
type feed struct {
	t     *testing.T
	files []string
	next  int // of files

	mu   sync.Mutex // guards the fields below
	rng  *rand.Rand
	day  int
	pool []line
	late map[int][]line // by the day that brings them
	old  []line
}

const daysLate = 20

func newFeed(t *testing.T, rng *rand.Rand) *feed {
	files, err := filepath.Glob("../../examples/retail/data/*.csv.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no day files: %v", err)
	}
	return &feed{t: t, files: files, next: rng.IntN(len(files)), rng: rng, late: map[int][]line{}}
}

// open adds another day of the shop.
func (f *feed) open() {
	lines := readDay(f.t, f.files[f.next%len(f.files)])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	f.day++
	f.pool = append(f.pool, f.late[f.day]...)
	delete(f.late, f.day)
	for _, l := range lines {
		if f.rng.IntN(30) == 0 {
			f.late[f.day+daysLate] = append(f.late[f.day+daysLate], l)
		} else {
			f.pool = append(f.pool, l)
		}
	}
	f.rng.Shuffle(len(f.pool), func(i, j int) { f.pool[i], f.pool[j] = f.pool[j], f.pool[i] })
}

// rest brings everything that is late now; left tells whether something has
// never been handed out.
func (f *feed) rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for day, lines := range f.late {
		f.pool = append(f.pool, lines...)
		delete(f.late, day)
	}
}

func (f *feed) left() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pool) > 0
}

// take returns the lines of one request: new ones, copies of old ones, and bad
// ones.
func (f *feed) take(n int) []line {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []line
	for range n {
		switch {
		case f.rng.IntN(50) == 0 && len(f.old) > 0:
			out = append(out, spoil(f.rng, f.old[f.rng.IntN(len(f.old))]))
		case len(f.old) > 0 && (len(f.pool) == 0 || f.rng.IntN(8) == 0):
			out = append(out, f.old[f.rng.IntN(len(f.old))])
		case len(f.pool) > 0:
			l := f.pool[len(f.pool)-1]
			f.pool = f.pool[:len(f.pool)-1]
			f.old = append(f.old, l)
			out = append(out, l)
		}
	}
	return out
}

// body writes lines as CSV under their header.
func body(lines []line) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(shopHeader)
	for _, l := range lines {
		_ = w.Write(l.fields)
	}
	w.Flush()
	return b.Bytes()
}

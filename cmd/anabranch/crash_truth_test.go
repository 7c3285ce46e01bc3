package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// truth is what the views must hold, kept outside of the program: plain maps
// with whole numbers, fed with what was acknowledged and nothing else.
type truth struct {
	mu      sync.Mutex // guards all fields
	seen    map[string]bool
	tried   map[string]bool // good lines that were sent, acknowledged or not
	refused map[string]int64
	rows    int64 // good lines acknowledged, copies too
	views   map[string]map[string]*totals
}

// totals is one group of a view.
type totals struct {
	lines                              int64
	invoices                           map[string]bool
	saleUnits, refundUnits             int64
	grossMilli, refundMilli, netMillis int64
}

const measures = "lines,invoices,sale_units,refund_units,gross_milli,refund_milli,net_milli"

// keysOf gives the group of a line in each view, its columns apart by NUL; a
// view that leaves the line out is missing.
func keysOf(f []string) map[string]string {
	day := f[invoiceDate][:10]
	keys := map[string]string{
		"day": day, "hour": f[invoiceDate][:13] + ":00:00", "country_day": day + "\x00" + f[country],
		"product_month": day[:7] + "\x00" + f[stockCode],
	}
	if f[customerID] != "" {
		keys["customer"] = f[customerID]
	}
	return keys
}

var keyColumns = map[string]string{"day": "day", "hour": "hour", "country_day": "day,country", "customer": "customer_id", "product_month": "month,stock_code"}

func newTruth() *truth {
	w := &truth{seen: map[string]bool{}, tried: map[string]bool{}, refused: map[string]int64{}, views: map[string]map[string]*totals{}}
	for view := range keyColumns {
		w.views[view] = map[string]*totals{}
	}
	return w
}

func identity(l line) string { return strings.Join(l.fields, "\x00") }

// trying notes lines that are about to be sent.
func (w *truth) trying(lines []line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lines {
		if l.code == "" {
			w.tried[identity(l)] = true
		}
	}
}

// acknowledged adds the lines of a request that was answered.
func (w *truth) acknowledged(lines []line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lines {
		if l.code != "" {
			w.refused[l.code]++
			continue
		}
		w.rows++
		id := identity(l)
		if w.seen[id] {
			continue
		}
		w.seen[id] = true
		units, err := strconv.ParseInt(l.fields[quantity], 10, 64)
		if err != nil {
			panic(err)
		}
		money := units * milli(l.fields[unitPrice])
		for view, key := range keysOf(l.fields) {
			g := w.views[view][key]
			if g == nil {
				g = &totals{invoices: map[string]bool{}}
				w.views[view][key] = g
			}
			g.lines++
			g.invoices[l.fields[invoiceNo]] = true
			g.netMillis += money
			if strings.HasPrefix(l.fields[invoiceNo], "C") {
				g.refundUnits -= units
				g.refundMilli -= money
			} else {
				g.saleUnits += units
				g.grossMilli += money
			}
		}
	}
}

// bounds returns how many lines must count by now, and how many may.
func (w *truth) bounds() (least, most int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(len(w.seen)), int64(len(w.tried))
}

// table returns a view as the rows of a CSV answer.
func (w *truth) table(view string) [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows := [][]string{strings.Split(keyColumns[view]+","+measures, ",")}
	for key, g := range w.views[view] {
		row := strings.Split(key, "\x00")
		for _, n := range []int64{g.lines, int64(len(g.invoices)), g.saleUnits, g.refundUnits, g.grossMilli, g.refundMilli, g.netMillis} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		rows = append(rows, row)
	}
	return rows
}

func (w *truth) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d lines acknowledged, %d of them distinct, refused %v", w.rows, len(w.seen), w.refused)
}

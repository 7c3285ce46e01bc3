package bench

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"anabranch/fault"
)

// What the program writes in the page stands between these.
const (
	pageBegin = "<!-- made by `make bench` from docs/bench, not by hand -->"
	pageEnd   = "<!-- end of what make bench has made -->"
)

// Page returns page with the part that results are shown in made anew.
func Page(page string, results []*Result) (string, error) {
	before, rest, ok := strings.Cut(page, pageBegin)
	_, after, ok2 := strings.Cut(rest, pageEnd)
	if !ok || !ok2 {
		return "", fault.New(fault.Invalid, "the page has no part for results: it stands between %q and %q", pageBegin, pageEnd)
	}
	var b strings.Builder
	b.WriteString(before + pageBegin + "\n")
	for _, r := range results {
		r.table(&b)
	}
	b.WriteString("\n" + pageEnd + after)
	return b.String(), nil
}

func (r *Result) table(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n%s, commit %s, %d x %s, %s.\n\n", r.Suite, r.Date, r.Commit, r.Machine.Cores, r.Machine.CPU, r.Machine.Go)
	b.WriteString("| what | measured on | ours | peer | value | floor | goal | |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for i := range r.Rows {
		w := &r.Rows[i]
		if w.Missed != "" {
			fmt.Fprintf(b, "| %s | | | | | | | not measured: %s |\n", w.What, w.Missed)
			continue
		}
		peer, value := "", w.Value.text("")
		if w.Peer != nil {
			peer, value = fmt.Sprintf("%s (%s)", w.Peer.text(w.Unit), w.Peers), value+"x"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", w.What, w.Data, w.Ours.text(w.Unit), peer, value, bound(w.Floor), bound(w.Goal), w.verdict())
	}
	for i := range r.Rows {
		w := &r.Rows[i]
		if w.Answers == "" && len(w.Figures) == 0 {
			continue
		}
		var facts []string
		if w.Answers != "" {
			facts = append(facts, w.Answers)
		}
		for _, name := range slices.Sorted(maps.Keys(w.Figures)) {
			if name != "sum" { // compared, and of no use to readers
				facts = append(facts, fmt.Sprintf("%s %s", name, short(w.Figures[name])))
			}
		}
		fmt.Fprintf(b, "\n- %s: %s", w.Name, strings.Join(facts, "; "))
	}
	b.WriteString("\n")
}

// text is the median with its middle half, as people read it.
func (s Spread) text(unit string) string {
	if unit != "" {
		unit = " " + unit
	}
	if s.Low == s.Median && s.High == s.Median {
		return short(s.Median) + unit
	}
	return fmt.Sprintf("%s%s (%s-%s)", short(s.Median), unit, short(s.Low), short(s.High))
}

func short(v float64) string {
	if v >= 1000 || v <= -1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func bound(v float64) string {
	if v == 0 {
		return ""
	}
	return short(v)
}

// verdict says what a row reaches.
func (w *Row) verdict() string {
	reaches := func(bound float64) bool {
		if w.Less {
			return w.Value.Median <= bound
		}
		return w.Value.Median >= bound
	}
	switch {
	case w.Goal == 0:
		return ""
	case reaches(w.Goal):
		return "goal"
	case reaches(w.Floor):
		return "floor"
	}
	return "**below**"
}

// line says in one line what was measured.
func (w *row) line() string {
	switch {
	case w.Missed != "":
		return fmt.Sprintf("%-18s not measured: %s", w.Name, w.Missed)
	case w.Peer != nil:
		return fmt.Sprintf("%-18s %sx, ours %s, %s %s; %s", w.Name, w.Value.text(""), w.Ours.text(w.Unit), w.Peers, w.Peer.text(w.Unit), w.Answers)
	}
	return fmt.Sprintf("%-18s %s %s", w.Name, w.Value.text(w.Unit), w.Answers)
}

package bench

import "fmt"

// noise is by how much a median may move without saying anything.
const noise = 0.05

// Regressions compares what was measured now with what was measured before and
// says what became worse: by more than noise, and by more than the rounds of
// either run lie apart.
func Regressions(before, now []*Result) (worse, notes []string) {
	old := map[string]*Row{}
	machines := map[string]Machine{}
	for _, r := range before {
		machines[r.Suite] = r.Machine
		for i := range r.Rows {
			old[r.Rows[i].Name] = &r.Rows[i]
		}
	}
	for _, r := range now {
		same := machines[r.Suite] == r.Machine
		if !same {
			notes = append(notes, fmt.Sprintf("%s was measured on another machine: only ratios are compared", r.Suite))
		}
		for i := range r.Rows {
			w := &r.Rows[i]
			o := old[w.Name]
			switch {
			case o == nil || o.Missed != "":
				notes = append(notes, w.Name+" has nothing to be compared with")
			case w.Missed != "":
				worse = append(worse, fmt.Sprintf("%s was not measured: %s", w.Name, w.Missed))
			case w.Peer == nil && !same:
			case o.Data != w.Data:
				notes = append(notes, fmt.Sprintf("%s was measured on %s, now on %s", w.Name, o.Data, w.Data))
			default:
				text := fmt.Sprintf("%s: %s, was %s", w.Name, w.Value.text(""), o.Value.text(""))
				if w.worse(o) {
					worse = append(worse, text)
				} else {
					notes = append(notes, text)
				}
			}
		}
	}
	return worse, notes
}

func (w *Row) worse(before *Row) bool {
	if w.Less {
		return w.Value.Median > before.Value.Median*(1+noise) && w.Value.Low > before.Value.High
	}
	return w.Value.Median < before.Value.Median*(1-noise) && w.Value.High < before.Value.Low
}

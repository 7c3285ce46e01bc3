package batch

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"anabranch/archive"
	"anabranch/fault"
)

// AuditRequest says which event days to audit: those from From to To (nil: no
// border), or so many of all, chosen by Seed.
type AuditRequest struct {
	Days     int // 0: all between From and To
	From, To *int32
	Seed     uint64
}

// AuditPlan is what an audit will look at. Workflows keep it in their history.
type AuditPlan struct {
	Version uint64      `json:"version"` // of the manifest that is audited
	K       uint64      `json:"k"`
	Days    int         `json:"days"`           // to audit
	Of      int         `json:"of"`             // that the version has
	Gone    int         `json:"gone,omitempty"` // of them: raw events expired, nothing to compare with
	Rows    int64       `json:"rows"`           // events of these days
	Units   []AuditUnit `json:"units,omitempty"`
}

// AuditUnit is some event days that are audited together: all segments are
// gone through once for each unit.
type AuditUnit struct {
	Label string  `json:"label"`
	Days  []int32 `json:"days"`
	Rows  int64   `json:"rows"`
	// Whole has the results that span days compared too.
	Whole bool `json:"whole,omitempty"`
}

// Audited is what became of a unit. Drifts are its first cells that differ,
// Drifted how many there are.
type Audited struct {
	Rows    int64             `json:"rows"`    // gone through
	Counted int64             `json:"counted"` // events of the days that count
	Groups  int64             `json:"groups"`  // compared
	Drifted int64             `json:"drifted"`
	Drifts  []Drift           `json:"drifts,omitempty"`
	Views   map[string]int64  `json:"views,omitempty"` // cells that differ, by view; 0: none
	Skipped map[string]string `json:"skipped,omitempty"`
}

// Drift is a cell that is not what the raw events give.
type Drift struct {
	View       string   `json:"view,omitempty"`
	Version    string   `json:"version,omitempty"`
	Where      string   `json:"where"`            // such as: results of 2011-03; states of 2011-03-01
	Group      []string `json:"group,omitempty"`  // the key columns, in order
	Column     string   `json:"column,omitempty"` // "_state" is the aggregate's state, which other answers are made of
	Served     string   `json:"served"`           // empty: the group is missing
	Recomputed string   `json:"recomputed"`       // empty: there is no such group
}

func (d Drift) String() string {
	what := d.View
	if len(d.Group) > 0 {
		what += fmt.Sprint(d.Group)
	}
	if d.Column != "" {
		if what != "" {
			what += "."
		}
		what += d.Column
	}
	return fmt.Sprintf("%s: %s: served %q, recomputed %q", d.Where, what, d.Served, d.Recomputed)
}

// MaxDrifts is how many cells a unit names.
const MaxDrifts = 20

// auditIDs is about how many bytes an audit needs for an event that it looks
// for.
const auditIDs = 128

// PlanAudit chooses what to audit of the newest version. Version 0 says that
// nothing was published yet. The same request gives the same plan as long as
// the version has the same days.
func (r *Runner) PlanAudit(ctx context.Context, q AuditRequest) (AuditPlan, error) {
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return AuditPlan{}, err
	}
	out := AuditPlan{Version: m.Version, K: m.K}
	rows := rowsByDay(m.Days)
	out.Of = len(rows)
	if q.Days < 0 {
		return out, fault.New(fault.Invalid, "audit %d days: want a number above zero", q.Days)
	}
	if q.From != nil && q.To != nil && *q.To < *q.From {
		return out, fault.New(fault.Invalid, "audit from %s to %s: its first day lies behind its last", dayName(*q.From), dayName(*q.To))
	}
	gone := goneDays(m.Days)
	var days []int32
	for _, day := range slices.Sorted(maps.Keys(rows)) {
		if gone[day] {
			out.Gone++
			continue
		}
		if (q.From == nil || day >= *q.From) && (q.To == nil || day <= *q.To) {
			days = append(days, day)
		}
	}
	if q.Days > 0 && q.Days < len(days) {
		dice := rand.New(rand.NewPCG(q.Seed, 0x617564_6974))
		dice.Shuffle(len(days), func(i, j int) { days[i], days[j] = days[j], days[i] })
		days = days[:q.Days]
		slices.Sort(days)
	}
	out.Days = len(days)
	most := max(1, min(r.ChunkRows, r.ChunkBytes/auditIDs))
	for _, day := range days {
		out.Rows += rows[day]
		n := len(out.Units) - 1
		if n < 0 || out.Units[n].Rows+rows[day] > most {
			out.Units = append(out.Units, AuditUnit{Whole: n < 0})
			n++
		}
		u := &out.Units[n]
		u.Days, u.Rows = append(u.Days, day), u.Rows+rows[day]
	}
	for i := range out.Units {
		u := &out.Units[i]
		u.Label = dayName(u.Days[0])
		if last := u.Days[len(u.Days)-1]; last != u.Days[0] {
			u.Label += fmt.Sprintf(" to %s, %d days", dayName(last), len(u.Days))
		}
	}
	return out, nil
}

// Audit computes the days of a unit again, from the segments, and compares
// what comes out with what version serves: the number of events of each day,
// the states of each view and day, and every cell of the results that these
// days go into. Neither the day files nor the id runs take part: an event
// counts when no segment has its id before. Errors: NotFound when the version
// or its files were collected meanwhile, Corrupt for what cannot be read.
func (r *Runner) Audit(ctx context.Context, version uint64, u AuditUnit) (Audited, error) {
	m, err := r.Archive.Manifest(ctx, version)
	if err != nil {
		return Audited{}, err
	}
	a := newAudit(r, m, u)
	for p := range m.Cut {
		if err := a.partition(ctx, p); err != nil {
			return Audited{}, fmt.Errorf("audit %s: partition %d: %w", u.Label, p, err)
		}
	}
	a.events()
	for i := range a.views {
		if err := a.view(ctx, &a.views[i]); err != nil {
			return Audited{}, fmt.Errorf("audit %s: view %s: %w", u.Label, a.views[i].key, err)
		}
	}
	return a.out, nil
}

// newAudit finds the views that can be computed here.
func newAudit(r *Runner, m *archive.Manifest, u AuditUnit) *audit {
	a := &audit{r: r, m: m, unit: u, day: map[int32]int{}, counted: make([]int64, len(u.Days)), out: Audited{Views: map[string]int64{}}}
	for i, day := range u.Days {
		a.day[day] = i
	}
	for _, key := range slices.Sorted(maps.Keys(m.Views)) {
		files := m.Views[key]
		v := r.version(archive.ViewOf(key), files.Version)
		if v == nil {
			a.skip(key, "this program has no definition of its version "+files.Version)
			continue
		}
		one := auditView{key: key, files: files, view: v}
		for range u.Days {
			one.states = append(one.states, v.New())
		}
		a.views = append(a.views, one)
		a.out.Views[key] = 0
	}
	return a
}

package schemas

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/robfig/cron"
)

// Schedule says when the nightly batch of a pipeline runs by itself.
type Schedule struct {
	Cron           string        // five fields, or a word like @daily; empty: never
	Timezone       string        // IANA name that Cron and the data date are in
	Overlap        string        // one of Overlaps: what a run does that is due while one still runs
	CatchUp        time.Duration // how late a run still starts after nobody could start it
	PauseOnFailure bool          // no further runs after one that failed, until somebody resumes them
}

// What a run does that is due while the one before still runs.
const (
	OverlapSkip      = "skip"         // it is left out: the next one counts what came meanwhile
	OverlapBufferOne = "buffer_one"   // one of them starts when the other has ended
	OverlapBufferAll = "buffer_all"   // all of them start, one after the other
	OverlapCancel    = "cancel_other" // it cancels the other
	OverlapAllow     = "allow_all"    // both run; who publishes second plans again
)

// Overlaps are the values of Schedule.Overlap, the default first.
var Overlaps = []string{OverlapSkip, OverlapBufferOne, OverlapBufferAll, OverlapCancel, OverlapAllow}

// defaultCatchUp is how late a nightly run still starts after the server was
// away; the next one covers older ones.
const defaultCatchUp = 12 * time.Hour

// minCatchUp is the shortest that Temporal keeps to.
const minCatchUp = 10 * time.Second

var cronWords = []string{"@hourly", "@daily", "@weekly", "@monthly", "@yearly"}

// schedule reads a cron expression, or a mapping with more to say.
func (r *definitionReader) schedule(n ast.Node) (s Schedule) {
	s = Schedule{Timezone: "UTC", Overlap: OverlapSkip, CatchUp: defaultCatchUp}
	if !isMapping(n) {
		s.Cron = r.cron(n)
		return s
	}
	keys := r.mapping(n, "the schedule", "cron", "timezone", "overlap", "catch_up", "pause_on_failure")
	if e, ok := keys["cron"]; ok {
		s.Cron = r.cron(e.value)
	} else if keys != nil {
		r.at(n.GetToken(), "the schedule has no cron", `add cron: "0 3 * * *" for every night at three`)
	}
	if e, ok := keys["timezone"]; ok {
		s.Timezone, _ = r.text(e.value, "the time zone")
		if _, err := time.LoadLocation(s.Timezone); err != nil || s.Timezone == "" || s.Timezone == "Local" {
			r.at(e.value.GetToken(), fmt.Sprintf("there is no time zone %q", s.Timezone), "write a name like Europe/Berlin, or UTC")
		}
	}
	if e, ok := keys["overlap"]; ok {
		s.Overlap, _ = r.text(e.value, "overlap")
		if !slices.Contains(Overlaps, s.Overlap) {
			r.at(e.value.GetToken(), fmt.Sprintf("overlap is %q", s.Overlap), DidYouMean(s.Overlap, Overlaps))
		}
	}
	if e, ok := keys["catch_up"]; ok {
		if s.CatchUp = r.duration(e.value, "catch_up"); s.CatchUp < minCatchUp {
			r.at(e.value.GetToken(), fmt.Sprintf("catch_up is %s", s.CatchUp), fmt.Sprintf("write a time of at least %s, like 12h", minCatchUp))
		}
	}
	if e, ok := keys["pause_on_failure"]; ok {
		s.PauseOnFailure = r.truth(e.value, "pause_on_failure")
	}
	return s
}

func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// cron reads five fields, or a word like @daily.
func (r *definitionReader) cron(n ast.Node) string {
	s, ok := r.text(n, "the schedule")
	if !ok {
		return ""
	}
	if len(strings.Fields(s)) != 5 && !slices.Contains(cronWords, s) {
		r.at(n.GetToken(), fmt.Sprintf("the schedule is %q", s), `write five fields of cron, like "0 3 * * *" for every night at three, or @daily`)
		return s
	}
	if _, err := cron.ParseStandard(s); err != nil {
		r.at(n.GetToken(), fmt.Sprintf("the schedule is %q: %v", s, err), `the fields are minute, hour, day of the month, month and day of the week (0 is Sunday)`)
	}
	return s
}

// DataDate is the day that a nightly run due at nominal is about: the one that
// had ended then, by the calendar of the schedule's time zone.
func (s Schedule) DataDate(nominal time.Time) (string, error) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return "", err
	}
	y, m, d := nominal.In(zone).Date()
	return time.Date(y, m, d-1, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), nil
}

// DueOn returns the span of time, its end excluded, in which runs are due
// whose data date is one of the days from first to last, both included.
func (s Schedule) DueOn(first, last time.Time) (from, to time.Time, err error) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return from, to, err
	}
	return beginOf(first.AddDate(0, 0, 1), zone), beginOf(last.AddDate(0, 0, 2), zone), nil
}

// beginOf returns the first instant of a day in a zone, whose clocks may skip
// midnight.
func beginOf(day time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	for t.Format(time.DateOnly) < day.Format(time.DateOnly) {
		t = t.Add(30 * time.Minute)
	}
	return t
}

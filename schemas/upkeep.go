package schemas

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Audits says when what is served is compared with the raw events by itself.
type Audits struct {
	Schedule Schedule
	Days     int // how many event days an audit looks at, chosen at random
}

const (
	defaultAuditDays = 3
	maxAuditDays     = 10_000
)

// audits reads batch.audit: cron, or {schedule: ..., days: 3}.
func (r *definitionReader) audits(n ast.Node) {
	r.d.Audits.Days = defaultAuditDays
	if !isMapping(n) {
		r.d.Audits.Schedule = r.schedule(n)
		return
	}
	keys := r.mapping(n, "audit", "schedule", "days")
	if e, ok := keys["schedule"]; ok {
		r.d.Audits.Schedule = r.schedule(e.value)
	} else if keys != nil {
		r.at(n.GetToken(), "the audit has no schedule", `add schedule: "0 5 * * *" for every morning at five`)
	}
	if e, ok := keys["days"]; ok {
		r.d.Audits.Days = r.whole(e.value, "days", 1, maxAuditDays)
	}
}

// Retention says what may be forgotten, and when that happens by itself. A
// zero time or number: never.
type Retention struct {
	Schedule    Schedule
	Raw         time.Duration // raw events, this long after they were counted
	Versions    int           // versions that are kept, the newest
	Comparisons time.Duration // objects with differing cells, and pages of releases
}

const (
	// minVersions is how many versions a rollback may go back.
	minVersions        = 30
	maxVersions        = 1_000_000
	minRaw             = 24 * time.Hour
	defaultComparisons = 30 * 24 * time.Hour
)

// retention reads batch.retention.
func (r *definitionReader) retention(n ast.Node) {
	k := &r.d.Retention
	k.Comparisons = defaultComparisons
	keys := r.mapping(n, "retention", "schedule", "raw", "versions", "comparisons")
	if e, ok := keys["schedule"]; ok {
		k.Schedule = r.schedule(e.value)
	}
	atLeastADay := func(key string, to *time.Duration) {
		if e, ok := keys[key]; ok {
			if *to = r.duration(e.value, key); *to < minRaw {
				r.at(e.value.GetToken(), fmt.Sprintf("%s is %s", key, *to), "write a time of at least 1d, like 400d")
			}
		}
	}
	atLeastADay("raw", &k.Raw)
	atLeastADay("comparisons", &k.Comparisons)
	if e, ok := keys["versions"]; ok {
		k.Versions = r.whole(e.value, "versions", minVersions, maxVersions)
	}
}

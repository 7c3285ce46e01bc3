package schemas

import "github.com/goccy/go-yaml/ast"

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

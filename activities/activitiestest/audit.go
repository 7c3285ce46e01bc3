package activitiestest

import (
	"context"

	"anabranch/activities"
	"anabranch/batch"
)

var _ activities.Auditor = (*World)(nil)

// PlanAudit chooses two units.
func (w *World) PlanAudit(ctx context.Context, q batch.AuditRequest) (batch.AuditPlan, error) {
	if err := w.step(ctx, "plan audit", -1); err != nil {
		return batch.AuditPlan{}, err
	}
	defer w.mu.Unlock()
	return batch.AuditPlan{Version: 7, K: 6, Days: 3, Of: 30, Rows: 3000, Units: []batch.AuditUnit{
		{Label: "2011-03-01 to 2011-03-02, 2 days", Days: []int32{15034, 15035}, Rows: 2000, Whole: true}, {Label: "2011-03-09", Days: []int32{15042}, Rows: 1000},
	}}, nil
}

// Audit finds what Audits says.
func (w *World) Audit(ctx context.Context, _ uint64, u batch.AuditUnit) (batch.Audited, error) {
	if err := w.step(ctx, "audit", int(u.Days[0])); err != nil {
		return batch.Audited{}, err
	}
	defer w.mu.Unlock()
	if w.Audits != nil {
		return w.Audits(u), nil
	}
	return batch.Audited{Rows: 9000, Counted: u.Rows, Groups: 100, Views: map[string]int64{"sales": 0}}, nil
}

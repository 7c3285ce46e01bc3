package activities

import (
	"context"
	"fmt"

	"anabranch/batch"
	"anabranch/fault"
)

// Auditor is a Runner that can audit what it has published; *batch.Runner is
// one.
type Auditor interface {
	PlanAudit(ctx context.Context, q batch.AuditRequest) (batch.AuditPlan, error)
	Audit(ctx context.Context, version uint64, u batch.AuditUnit) (batch.Audited, error)
}

var _ Auditor = (*batch.Runner)(nil)

// AuditDays says which event days an audit looks at.
type AuditDays struct {
	Pipeline string `json:"pipeline"`
	Days     int    `json:"days,omitempty"` // so many, at random; 0: all between From and To
	From     string `json:"from,omitempty"` // 2006-01-02
	To       string `json:"to,omitempty"`
	Seed     uint64 `json:"seed"`
}

// AuditUnit is one unit of an audit.
type AuditUnit struct {
	Pipeline string          `json:"pipeline"`
	Version  uint64          `json:"version"`
	Unit     batch.AuditUnit `json:"unit"`
}

// AuditFound tells what a unit came to.
type AuditFound struct {
	AuditUnit
	Found batch.Audited `json:"found"`
}

// PlanAudit chooses what to audit.
func (a *Activities) PlanAudit(ctx context.Context, in AuditDays) (batch.AuditPlan, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.AuditPlan, error) {
		auditor, err := can[Auditor](r, "audit")
		if err != nil {
			return batch.AuditPlan{}, err
		}
		days, err := Request{From: in.From, To: in.To}.batch()
		if err != nil {
			return batch.AuditPlan{}, err
		}
		return auditor.PlanAudit(ctx, batch.AuditRequest{Days: in.Days, From: days.From, To: days.To, Seed: in.Seed})
	})
}

// Audit audits one unit, and has people called for what differs.
func (a *Activities) Audit(ctx context.Context, in AuditUnit) (batch.Audited, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Audited, error) {
		auditor, err := can[Auditor](r, "audit")
		if err != nil {
			return batch.Audited{}, err
		}
		found, err := auditor.Audit(ctx, in.Version, in.Unit)
		if err == nil && a.Audited != nil {
			a.Audited(AuditFound{in, found})
		}
		return found, err
	})
}

// can returns what a runner can do besides running batches.
func can[T any](r Runner, what string) (T, error) {
	able, ok := r.(T)
	if !ok {
		return able, fault.New(fault.Bug, "this worker cannot %s: its runner is a %s", what, fmt.Sprintf("%T", r))
	}
	return able, nil
}

// Drifted is how a workflow ends that has found what is served to be wrong:
// with an error that carries what it found.
func Drifted(message string, found any) error {
	return carrying(fault.WithCode(fault.New(fault.Corrupt, "%s", message), DriftCode), found)
}

// DriftCode is the code of such an error.
const DriftCode = "drift"

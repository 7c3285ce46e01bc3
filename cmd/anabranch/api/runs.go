package api

import (
	"anabranch/activities"
	"anabranch/batch"
	"anabranch/workflows"
)

// StartBackfill asks for event days to be computed again under the published
// cut. Days are YYYY-MM-DD, both included.
type StartBackfill struct {
	View   string `json:"view,omitempty"`
	From   string `json:"from,omitempty"` // empty: the first there is
	To     string `json:"to,omitempty"`   // empty: the last there is
	Reason string `json:"reason,omitempty"`
	Key    string `json:"key,omitempty"`
	By     string `json:"by,omitempty"`
	// Parallel is how many units may run at once; 0: the default.
	Parallel int `json:"parallel,omitempty"`
	// OnFailure says what becomes of the run when a unit fails for good: "wait"
	// for a retry, which is the default, or "fail".
	OnFailure string `json:"on_failure,omitempty"`
	// Approve makes the run wait for an approval, also where the pipeline's
	// policy would not.
	Approve bool `json:"approve,omitempty"`
	// DryRun makes the run do everything but publish; Sample then takes only so
	// many of its days.
	DryRun bool `json:"dry_run,omitempty"`
	Sample int  `json:"sample,omitempty"`
}

// Run is one batch or backfill, as far as it has come.
type Run struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	State    string `json:"state"` // running, completed, failed, cancelled, terminated, timed out
	UI       string `json:"ui,omitempty"`
	Phase    string `json:"phase,omitempty"`
	Done     int    `json:"done"`
	Total    int    `json:"total"`
	Rows     int64  `json:"rows"`
	Manifest uint64 `json:"manifest,omitempty"`
	Barrier  uint64 `json:"barrier,omitempty"`
	Error    string `json:"error,omitempty"`
	Fault    string `json:"fault,omitempty"` // the kind of the error: corrupt, invalid, ...
	// Released is what a release of dead letters came to.
	Released *workflows.ReleaseResult `json:"released,omitempty"`
	// Imported is what an import came to.
	Imported *workflows.ImportResult `json:"imported,omitempty"`
	// Audit is what an audit came to, also when it failed by finding a drift.
	Audit *workflows.AuditResult `json:"audit,omitempty"`
	// Canary is what a canary came to.
	Canary *workflows.CanaryResult `json:"canary,omitempty"`
	// Rebuilt is what a rebuild of the speed layer came to, also when it failed
	// because views differ.
	Rebuilt *activities.SpeedRebuilt `json:"rebuilt,omitempty"`
	// Restored is what a restore has put into its pipeline.
	Restored *activities.Restored `json:"restored,omitempty"`
	// Compacted is what a compaction has put together, or would.
	Compacted *batch.Packed `json:"compacted,omitempty"`
	// Expired is what an expiry has forgotten, or would.
	Expired *batch.Expired `json:"expired,omitempty"`
	// Progress is what the run itself answers; nil when no worker does.
	Progress *workflows.Progress `json:"progress,omitempty"`
	// Answer is how the run stands after an instruction, in a sentence.
	Answer string `json:"answer,omitempty"`
}

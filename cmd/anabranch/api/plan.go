package api

import (
	"anabranch/batch"
	"anabranch/schemas"
)

// Plan says what applying a folder would do. Nothing is done to make it.
type Plan struct {
	Pipeline string `json:"pipeline"`
	New      bool   `json:"new"`               // there is no such pipeline yet
	Changed  bool   `json:"changed"`           // false: the folder is in force already
	From     string `json:"from,omitempty"`    // version of the definition in force
	To       string `json:"to"`                // and of the folder
	Version  uint64 `json:"version,omitempty"` // of what is published

	Schema []schemas.Change `json:"schema,omitempty"`
	Views  []ViewPlan       `json:"views,omitempty"`
	// References are the reference tables that change.
	References []ReferencePlan  `json:"references,omitempty"`
	Rules      []schemas.Change `json:"rules,omitempty"`
	Policy     []schemas.Change `json:"policy,omitempty"`

	// Work is what has to be computed again; nil: nothing, or nobody knows.
	Work *batch.Estimate `json:"work,omitempty"`
	// Breaking is what somebody who reads the views would miss.
	Breaking   []Break  `json:"breaking,omitempty"`
	Compatible bool     `json:"compatible"` // nothing is breaking
	Steps      []string `json:"steps"`      // what apply does
	// Refused says why apply, with these flags, does nothing; Command what to
	// do instead.
	Refused  string   `json:"refused,omitempty"`
	Command  string   `json:"command,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// ViewPlan is what becomes of one view.
type ViewPlan struct {
	View    string           `json:"view"`
	Change  string           `json:"change"` // added, changed, inputs (the same text reads other types), removed, unchanged
	From    string           `json:"from,omitempty"`
	To      string           `json:"to,omitempty"`
	Columns []schemas.Change `json:"columns,omitempty"`
	Keys    bool             `json:"keys,omitempty"`    // other groups
	Rebuild bool             `json:"rebuild,omitempty"` // nothing published has files of its version
	// Until says what answers before the version is computed.
	Until string `json:"until,omitempty"`
}

// Break is one thing that readers would miss.
type Break struct {
	View string `json:"view"`
	What string `json:"what"`
}

// Ways says how a definition is to be put in force.
type Ways struct {
	// Backfill computes what is new or changed at once, in a run of its own, and
	// accepts what is breaking.
	Backfill bool `json:"backfill,omitempty"`
	// Canary has changed views stand beside the ones that answer, answer this
	// share of the queries, in percent, and be judged.
	Canary *float64 `json:"canary,omitempty"`
	// Within is the bound of the judgement, such as "1%"; empty: the pipeline's.
	Within string `json:"within,omitempty"`
	// Drop are views, reference tables, and columns of those (table.column) that
	// may go away.
	Drop   []string `json:"drop,omitempty"`
	Reason string   `json:"reason,omitempty"`
	By     string   `json:"by,omitempty"`
}

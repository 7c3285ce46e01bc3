package api

import "time"

// Uploaded is the answer to a file of a reference table: what stands for it
// among the files of an Apply.
type Uploaded struct {
	Pointer string `json:"pointer"`
}

// References are the reference tables of a pipeline: those in force, then those
// of before that answers as of a receipt can still have.
type References struct {
	References []Reference `json:"references"`
}

// Reference is one version of a reference table.
type Reference struct {
	Name       string            `json:"name"`
	Version    string            `json:"version"`
	Comment    string            `json:"comment,omitempty"`
	InForce    bool              `json:"in_force"`
	Rows       int64             `json:"rows"`
	Bytes      int64             `json:"bytes"`
	Columns    []ReferenceColumn `json:"columns"`
	Definition uint64            `json:"definition"` // the newest that has it
	Applied    time.Time         `json:"applied"`    // that definition
	Object     string            `json:"object"`
}

// ReferenceColumn is one of its columns.
type ReferenceColumn struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Key     bool   `json:"key,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// ReferencePlan is what becomes of one reference table.
type ReferencePlan struct {
	Name   string `json:"name"`
	Change string `json:"change"`         // added, changed, removed
	From   string `json:"from,omitempty"` // versions
	To     string `json:"to,omitempty"`
	Rows   int64  `json:"rows"`
	Before int64  `json:"rows_before"`
}

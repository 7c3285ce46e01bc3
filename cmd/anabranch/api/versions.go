package api

import (
	"time"

	"anabranch/batch"
)

// Versions lists what batch has published, the newest first.
type Versions struct {
	Pipeline string    `json:"pipeline"`
	Newest   uint64    `json:"newest"`
	Versions []Version `json:"versions"`
}

// Version is one published version: which run made it from what, and who
// answers in it.
type Version struct {
	Version    uint64        `json:"version"`
	Barrier    uint64        `json:"barrier"`
	Kind       string        `json:"kind"`
	Created    time.Time     `json:"created"`
	Reason     string        `json:"reason,omitempty"`
	By         string        `json:"by,omitempty"`
	Definition string        `json:"definition,omitempty"`
	Run        string        `json:"run,omitempty"`
	Code       string        `json:"code,omitempty"`
	Base       uint64        `json:"base,omitempty"` // of a rollback: what it went back to
	Rows       int64         `json:"rows"`
	Counted    int64         `json:"counted"`
	Views      []VersionView `json:"views"`
}

// VersionView is one version of a view in it.
type VersionView struct {
	View    string  `json:"view"`
	Version string  `json:"version"`
	Answers bool    `json:"answers"`
	Canary  float64 `json:"canary,omitempty"` // percent of queries that it answers all the same
	Groups  int64   `json:"groups"`
	Days    int     `json:"days"`
	Bytes   int64   `json:"bytes"`
}

// Difference is the comparison of two versions, also as Markdown.
type Difference struct {
	batch.Comparison
	Markdown string `json:"markdown"`
}

// PromoteVersion has a version of a view answer: the one that its definition
// declares when Version is empty; or, with Canary, a share of the queries.
type PromoteVersion struct {
	View    string   `json:"view"`
	Version string   `json:"version,omitempty"`
	Canary  *float64 `json:"canary,omitempty"` // percent
	Reason  string   `json:"reason,omitempty"`
	By      string   `json:"by,omitempty"`
}

// Rollback has the views answer as they did in an older version, with the
// events that came since. A second one with the same key joins the first.
type Rollback struct {
	To     uint64 `json:"to"`
	View   string `json:"view,omitempty"` // empty: all
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	Key    string `json:"key,omitempty"`
}

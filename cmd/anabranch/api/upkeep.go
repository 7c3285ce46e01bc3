package api

// StartAudit asks for event days to be computed again from the raw events and
// compared with what is served. Days are YYYY-MM-DD, both included.
type StartAudit struct {
	Days   int    `json:"days,omitempty"` // so many, at random; default 3 when neither From nor To is given
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Seed   uint64 `json:"seed,omitempty"` // chooses the days; 0: one of its own
	Reason string `json:"reason,omitempty"`
	Key    string `json:"key,omitempty"`
	By     string `json:"by,omitempty"`
}

// StartCompact asks for small files to be put together.
type StartCompact struct {
	DryRun bool   `json:"dry_run,omitempty"` // only say which
	Reason string `json:"reason,omitempty"`
	Key    string `json:"key,omitempty"`
	By     string `json:"by,omitempty"`
	// Parallel is how many units may run at once; 0: the default.
	Parallel int `json:"parallel,omitempty"`
}

// StartExpire asks a pipeline to forget what its retention no longer wants.
type StartExpire struct {
	DryRun bool   `json:"dry_run,omitempty"` // only say what would go
	Reason string `json:"reason,omitempty"`
	Key    string `json:"key,omitempty"`
	By     string `json:"by,omitempty"`
}

// StartRebuild asks for a pipeline's speed layer to be built anew.
type StartRebuild struct {
	Reason string `json:"reason,omitempty"`
	Key    string `json:"key,omitempty"`
	By     string `json:"by,omitempty"`
}

// StartRestore asks for a pipeline as of then in a pipeline of its own.
type StartRestore struct {
	AsOf   string `json:"as_of"` // a time, a version, a cut, or the receipt of a query
	Into   string `json:"into"`  // name of the pipeline to make
	Reason string `json:"reason,omitempty"`
	Key    string `json:"key,omitempty"`
	By     string `json:"by,omitempty"`
}

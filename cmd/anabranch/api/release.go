package api

// PreviewRelease asks what a release of dead letters would do.
type PreviewRelease struct {
	Codes []string `json:"codes,omitempty"` // of these codes; none: of all but conflict
	IDs   []string `json:"ids,omitempty"`   // or these letters alone
	Since string   `json:"since,omitempty"` // received on this day (2006-01-02, UTC) or later
	Set   []string `json:"set,omitempty"`   // "field=SQL expression"
	After string   `json:"after,omitempty"` // go on behind this letter
	Limit int      `json:"limit,omitempty"` // letters to look at; default 20
}

// ReleasePreview is what would become of some dead letters.
type ReleasePreview struct {
	Letters []Trial `json:"letters"`
	Skipped int     `json:"skipped,omitempty"` // released before
	Next    string  `json:"next,omitempty"`
}

// Trial is what would become of one.
type Trial struct {
	ID      string `json:"id"`
	Was     string `json:"was"` // why it is a letter
	Before  string `json:"before"`
	After   string `json:"after,omitempty"`  // what would be sent
	Header  string `json:"header,omitempty"` // of a CSV record
	Code    string `json:"code,omitempty"`   // why it would come back; empty: it would count
	Field   string `json:"field,omitempty"`
	Message string `json:"message,omitempty"`
}

// StartRelease starts a release of dead letters.
type StartRelease struct {
	Codes  []string `json:"codes,omitempty"`
	IDs    []string `json:"ids,omitempty"`
	Since  string   `json:"since,omitempty"`
	Set    []string `json:"set,omitempty"`
	Reason string   `json:"reason,omitempty"`
	By     string   `json:"by,omitempty"`
	Key    string   `json:"key,omitempty"`
}

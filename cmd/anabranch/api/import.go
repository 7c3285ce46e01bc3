package api

// StartImport asks for the files of a folder or bucket to be brought in.
type StartImport struct {
	From   string `json:"from"`             // file:///folder or s3://bucket/prefix?endpoint=URL&region=NAME, as the worker sees it
	Format string `json:"format,omitempty"` // parquet, csv or ndjson, of all files; empty: as their names tell
	DryRun bool   `json:"dry_run,omitempty"`
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
	Key    string `json:"key,omitempty"`
}

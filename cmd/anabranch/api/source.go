package api

import "embed"

// Source is this package's source: its comments are the descriptions of the
// OpenAPI document.
//
//go:embed *.go
var Source embed.FS

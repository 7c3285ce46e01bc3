// Package httpapi is the HTTP door to queries: POST /v1/query.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// Options of the door.
type Options struct {
	Timeout time.Duration // of one query, default 60 s
	MaxBody int64         // default 1 MiB
	Logger  *slog.Logger
}

// Query answers POST /v1/query. The body is JSON {"sql", "at_least",
// "consistency"} or, as text/plain or application/sql, the SQL alone. The
// answer is JSON, NDJSON or CSV by Accept, and always carries its receipt: in
// the JSON, and in the header Anabranch-Receipt.
func Query(engine *sql.Engine, o Options) http.Handler {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), o.Timeout)
		defer cancel()
		// A reader that does not read must not hold its query's turn for ever.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2 * o.Timeout)) // in vain where w is no connection
		format, err := negotiate(r.Header.Get("Accept"))
		if err != nil {
			WriteProblem(w, err)
			return
		}
		req, err := readRequest(w, r, o.MaxBody)
		if err != nil {
			WriteProblem(w, err)
			return
		}
		answer, err := engine.Query(ctx, req)
		if err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = fault.WithCode(fault.New(fault.Throttled, "the query took longer than %s: ask for less, or later", o.Timeout), "timeout")
			}
			WriteProblem(w, err)
			return
		}
		defer answer.Close()
		if err := write(w, answer, format); err != nil {
			// The status is sent: only a broken connection can still tell the
			// client that the answer is not whole.
			o.Logger.Warn("query broke off", "error", err)
			panic(http.ErrAbortHandler)
		}
	})
}

// request is the JSON body.
type request struct {
	SQL         string          `json:"sql"`
	AtLeast     json.RawMessage `json:"at_least"`    // a gateway's receipt, as an object or as its text
	Consistency string          `json:"consistency"` // "eventual" (default) or "latest"
}

func readRequest(w http.ResponseWriter, r *http.Request, limit int64) (sql.Request, error) {
	var out sql.Request
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return out, fault.New(fault.Invalid, "read the query: %v", err)
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && (media == "text/plain" || media == "application/sql") {
		out.SQL = string(body)
		return out, nil
	}
	var req request
	if err := json.Unmarshal(body, &req); err != nil {
		return out, fault.New(fault.Invalid, `the body is not JSON such as {"sql": "SELECT 1"}: %v`, err)
	}
	if strings.TrimSpace(req.SQL) == "" {
		return out, fault.New(fault.Invalid, `the body has no "sql"`)
	}
	switch req.Consistency {
	case "", "eventual":
	case "latest":
		out.Fresh.Latest = true
	default:
		return out, fault.New(fault.Invalid, `consistency %q: want "eventual" or "latest"`, req.Consistency)
	}
	receipt := string(req.AtLeast)
	var text string
	if json.Unmarshal(req.AtLeast, &text) == nil {
		receipt = text
	}
	if out.Fresh.AtLeast, err = serving.ParseAtLeast(receipt); err != nil {
		return out, err
	}
	out.SQL = req.SQL
	return out, nil
}

// format is how an answer is written.
type format string

const (
	asJSON   format = "application/json"
	asNDJSON format = "application/x-ndjson"
	asCSV    format = "text/csv"
)

// negotiate picks the first media type of Accept that the door writes.
func negotiate(accept string) (format, error) {
	if strings.TrimSpace(accept) == "" {
		return asJSON, nil
	}
	for _, part := range strings.Split(accept, ",") {
		media, _, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		switch media {
		case string(asJSON), "*/*", "application/*":
			return asJSON, nil
		case string(asNDJSON), "application/ndjson":
			return asNDJSON, nil
		case string(asCSV), "text/*":
			return asCSV, nil
		}
	}
	return "", fault.WithCode(fault.New(fault.Invalid, "Accept %q: answers are application/json, application/x-ndjson or text/csv", accept), "not_acceptable")
}

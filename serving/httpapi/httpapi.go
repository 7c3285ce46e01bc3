// Package httpapi is the HTTP door to views: queries, lookups and watches.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
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
// answer is JSON, NDJSON, CSV, an Arrow stream or Parquet by Accept, and always
// carries its receipt: in the header Anabranch-Receipt, in the JSON, and in the
// metadata of the schema and the file under sql.ReceiptKey. A short answer is
// sent whole, a long one while the query runs.
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
		format, err := negotiate(r.Header.Get("Accept"), written...)
		if err != nil {
			WriteProblem(w, err)
			return
		}
		Within(w, r, o.Timeout)
		req, err := readRequest(w, r, o.MaxBody)
		if err != nil {
			WriteProblem(w, err)
			return
		}
		s := &sender{w: w, ctx: ctx}
		if err := s.query(engine, req, format); err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = fault.WithCode(fault.New(fault.Throttled, "the query took longer than %s: ask for less, or later", o.Timeout), "timeout")
			}
			if !s.sent {
				s.fail(err)
				return
			}
			o.Logger.Info("an answer broke off", "error", err)
			s.breakOff(format, err)
		}
	})
}

// query asks, and sends the answer.
func (s *sender) query(engine *sql.Engine, r sql.Request, f format) error {
	a, err := ask(s.ctx, engine, r, f)
	if err != nil {
		return err
	}
	defer a.close()
	if a.rows != nil {
		s.rest = a.rows.Rest
	}
	receipt, err := json.Marshal(a.receipt())
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	h := s.w.Header()
	h.Set("Content-Type", string(f))
	h.Set("Anabranch-Receipt", string(receipt))
	h.Set("Cache-Control", "no-store")
	rows, err := a.write(s, f, receipt)
	if err != nil {
		return err
	}
	return s.finish(rows)
}

func readRequest(w http.ResponseWriter, r *http.Request, limit int64) (sql.Request, error) {
	var out sql.Request
	media, err := mediaOf(r, "application/sql", "text/plain")
	if err != nil {
		return out, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if media != "" {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return out, notRead(err)
		}
		out.SQL = string(text)
		return out, nil
	}
	var req Request
	if err := readObject(r.Body, &req); err != nil {
		return out, fault.WithHint(err, `send JSON such as {"sql": "SELECT 1"}`)
	}
	if strings.TrimSpace(req.SQL) == "" {
		return out, fault.New(fault.Invalid, `the body has no "sql"`)
	}
	if out.Fresh.Latest, err = serving.ParseConsistency("consistency", req.Consistency); err != nil {
		return out, err
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

	asArrow   format = "application/vnd.apache.arrow.stream"
	asParquet format = "application/vnd.apache.parquet"
)

// columnar formats are written by columns, the others by rows.
func (f format) columnar() bool { return f == asArrow || f == asParquet }

// written are the formats of answers; the first is for whoever does not mind.
var written = []format{asJSON, asNDJSON, asCSV, asArrow, asParquet}

// negotiate picks the format that Accept likes best, by its q; of those it likes
// as much, the one that it names first.
func negotiate(accept string, formats ...format) (format, error) {
	if strings.TrimSpace(accept) == "" {
		return formats[0], nil
	}
	type wish struct {
		like  float64
		exact int // how exactly it names the format
		at    int
	}
	wishes := map[format]wish{}
	for at, part := range strings.Split(accept, ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		if media == "application/ndjson" {
			media = string(asNDJSON)
		}
		like := 1.0
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q >= 0 && q <= 1 {
			like = q
		}
		for _, f := range formats {
			kind, _, _ := strings.Cut(string(f), "/")
			exact := slices.Index([]string{"*/*", kind + "/*", string(f)}, media) + 1
			if exact > wishes[f].exact {
				wishes[f] = wish{like, exact, at}
			}
		}
	}
	var best format
	for _, f := range formats {
		switch w, b := wishes[f], wishes[best]; {
		case w.like > b.like, w.like == b.like && w.like > 0 && w.at < b.at:
			best = f
		}
	}
	if best != "" {
		return best, nil
	}
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	last := len(names) - 1
	return "", fault.WithCode(fault.New(fault.Invalid, "Accept %q: answers are %s or %s", accept, strings.Join(names[:last], ", "), names[last]), NotAcceptable)
}

package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/lookup"
	"anabranch/serving/sql"
)

// View answers GET /v1/views/{view}: the groups of a view with a key, in a range
// of time. Parameters: key or key.COLUMN, key.COLUMN.null, time, from, to,
// limit, consistency, at_least. The answer is that of POST /v1/query, and has an
// ETag that is the same as long as nothing it covers has changed.
func View(l *lookup.Lookup, o Options) http.Handler {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), o.Timeout)
		defer cancel()
		f, err := negotiate(r.Header.Get("Accept"), asJSON, asNDJSON, asCSV)
		var req lookup.Request
		if err == nil {
			req, err = viewRequest(r.PathValue("view"), r.URL.Query())
		}
		var a *lookup.Answer
		if err == nil {
			a, err = l.Ask(ctx, req)
		}
		if err != nil {
			WriteProblem(w, err)
			return
		}
		tag := etag(a.Receipt, f)
		w.Header().Set("ETag", tag)
		w.Header().Set("Vary", "Accept")
		w.Header().Set("Cache-Control", "no-cache") // ask each time, with the tag
		receipt, err := json.Marshal(a.Receipt)
		if err != nil {
			WriteProblem(w, fault.Wrap(fault.Bug, err))
			return
		}
		w.Header().Set("Anabranch-Receipt", string(receipt))
		if matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", string(f))
		s := &sender{w: w, ctx: ctx}
		n, err := writeRows(s, f, rowsOf(a), receipt)
		if err == nil {
			err = s.finish(n)
		}
		if err != nil {
			s.breakOff(f, err)
		}
	})
}

// viewRequest reads the parameters.
func viewRequest(name string, q url.Values) (lookup.Request, error) {
	r := lookup.Request{View: name}
	for param, values := range q {
		if len(values) > 1 {
			return r, fault.New(fault.Invalid, "parameter %s is given %d times", param, len(values))
		}
		value := values[0]
		var err error
		switch {
		case param == "key":
			r.Key = append(r.Key, lookup.Equal{Value: value})
		case strings.HasPrefix(param, "key."):
			column := strings.TrimPrefix(param, "key.")
			of, null := strings.CutSuffix(column, ".null")
			switch {
			case !null:
				r.Key = append(r.Key, lookup.Equal{Column: column, Value: value})
			case value == "true" || value == "":
				r.Key = append(r.Key, lookup.Equal{Column: of, Null: true})
			default:
				err = fault.New(fault.Invalid, "%s=%s: want true", param, value)
			}
		case param == "time":
			r.Time = value
		case param == "from":
			r.From = value
		case param == "to":
			r.To = value
		case param == "limit":
			if r.Limit, err = strconv.Atoi(value); err != nil || r.Limit < 1 {
				err = fault.New(fault.Invalid, "limit %q: want a number from 1", value)
			}
		case param == "consistency":
			r.Fresh.Latest, err = serving.ParseConsistency(param, value)
		case param == "at_least":
			r.Fresh.AtLeast, err = serving.ParseAtLeast(value)
		default:
			err = fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "there is no parameter %q", param), "unknown_parameter"),
				"there is key, key.COLUMN, key.COLUMN.null, time, from, to, limit, consistency, at_least")
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// etag names what an answer covers, and how it is written.
func etag(r serving.Receipt, f format) string {
	var b []byte
	for name, p := range r.Pipelines { // of a lookup there is one
		b = append(b, name...)
		b = append(b, p.ManifestHash...)
		b = append(b, p.At.String()...)
		for view, version := range p.Views {
			b = append(append(b, view...), version...)
		}
		if p.Stale {
			b = append(b, '?')
		}
	}
	b = append(b, f...)
	h := xxh3.Hash128(b).Bytes()
	return `"` + strconv.FormatUint(uint64(h[0])<<56|uint64(h[1])<<48|uint64(h[2])<<40|uint64(h[3])<<32|uint64(h[4])<<24|uint64(h[5])<<16|uint64(h[6])<<8|uint64(h[7]), 36) + `"`
}

// matches reports whether a list of tags has one; weak tags count.
func matches(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		t = strings.TrimSpace(t)
		if t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}

// rowsOf hands the rows of a lookup on as those of a query.
func rowsOf(a *lookup.Answer) rowset {
	b := a.Rows
	columns := make([]sql.Column, len(a.Version.Output().Fields))
	for i, f := range a.Version.Output().Fields {
		columns[i] = sql.Column{Name: f.Name, Type: f.Type.SQL()}
	}
	read := make([]func(int) any, len(b.Columns))
	for i := range b.Columns {
		read[i] = sql.Values(&b.Columns[i])
	}
	row, values := 0, make([]sql.Datum, len(columns))
	return rowset{columns, func() ([]sql.Datum, error) {
		if row == b.N {
			return nil, nil
		}
		for i := range read {
			values[i] = sql.DatumOf(read[i](row))
		}
		row++
		return values, nil
	}}
}

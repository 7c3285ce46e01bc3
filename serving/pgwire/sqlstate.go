package pgwire

import (
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"

	"anabranch/fault"
)

// byCode is the SQLSTATE of a fault's code.
var byCode = map[string]string{
	// What was asked.
	"syntax":           "42601",
	"sql":              "42000",
	"unknown_view":     "42P01",
	"unknown_table":    "42P01",
	"unknown_pipeline": "3F000",
	"unknown_column":   "42703",
	"unknown_function": "42883",
	"conversion":       "22P02",
	"parameter":        "22P02",
	"parameters":       "08P01",
	"read_only":        "25006",
	"function_refused": "42501",
	"not_answered":     "0A000",
	"unsupported":      "0A000",
	"unnamed_struct":   "0A000",
	"sketch_added":     "42804",
	"not_arrow":        "0A000",
	"receipt":          "22023",
	"receipt_invalid":  "22023",
	"receipt_gone":     "72000", // snapshot too old
	"snapshot":         "22023",
	// Limits.
	"sql_too_long":    "54000",
	"sql_too_complex": "54001",
	"rows_limit":      "54000",
	"bytes_limit":     "54000",
	"work_limit":      "54000",
	"memory_limit":    "53200",
	"view_unfinished": "55000",
	"busy":            "53300",
	"user_busy":       "53300",
	"queue_full":      "53300",
	"connections":     "53300",

	"plans_busy":       "53300",
	"user_plans_busy":  "53300",
	"plans_queue_full": "53300",
	"timeout":          "57014",
	"cancelled":        "57014",
	"engine_failed":    "XX000",
	"stopping":         "57P01",
	// The session.
	"setting":            "42704",
	"setting_value":      "22023",
	"plan_changed":       "0A000",
	"no_statement":       "26000",
	"statement_exists":   "42P05",
	"no_portal":          "34000",
	"portal_exists":      "42P03",
	"failed_transaction": "25P02",
	"in_transaction":     "25001",
	"no_transaction":     "25P01",
	"no_savepoint":       "3B001",
	"protocol":           "08P01",
	"no_database":        "3D000",
	"password":           "28P01",
	"no_tls":             "28000",
	"no_user":            "28000",
}

// byKind is the SQLSTATE of an error whose code has none.
var byKind = map[fault.Kind]string{
	fault.Unknown:   "58000",
	fault.Transient: "57P03",
	fault.Throttled: "53000",
	fault.Poison:    "22000",
	fault.Conflict:  "40001",
	fault.Corrupt:   "XX001",
	fault.Denied:    "42501",
	fault.Invalid:   "42000",
	fault.NotFound:  "42P01",
	fault.Full:      "53100",
	fault.Bug:       "XX000",
}

// sqlstate is what an error is called in SQL.
func sqlstate(err error) string {
	if s, ok := byCode[fault.CodeOf(err)]; ok {
		return s
	}
	return byKind[fault.KindOf(err)]
}

// errorResponse tells a client of an error. The code and the kind are its
// detail, so that they can be looked up like those of the other doors; the place
// is told as programs mark it in what they sent.
func errorResponse(err error, severity string) *pgproto3.ErrorResponse {
	m := &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: sqlstate(err), Message: err.Error()}
	var f *fault.Error
	if errors.As(err, &f) && f.Hint != "" && f.Error() == err.Error() {
		m.Message, m.Hint = f.Err.Error(), f.Hint
	}
	code := fault.CodeOf(err)
	if code == "" {
		code = fault.KindOf(err).String()
	}
	m.Detail = "code " + code
	m.Position, m.Message = positionOf(err, m.Message)
	return m
}

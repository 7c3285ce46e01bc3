package sql

import "regexp"

// What other databases have, and what is written here instead: hints beside
// errors, which decide nothing.

// others are ways to write that DuckDB's parser does not know.
var others = []struct {
	written *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\bSELECT\s+(?:DISTINCT\s+)?TOP\s*\(?\s*\d`), "write LIMIT 5 at the end instead of TOP 5"},
	{regexp.MustCompile(`(?i)\bLIMIT\s+\d+\s*,\s*\d`), "write LIMIT 10 OFFSET 5 instead of LIMIT 5, 10"},
	{regexp.MustCompile(`(?i)\bAS\s+OF\b`), "write AS OF RECEIPT '<the receipt of an answer>' at the end"},
}

// instead is a hint for a query that cannot be parsed, or "".
func instead(query string) string {
	for _, o := range others {
		if o.written.MatchString(query) {
			return o.instead
		}
	}
	return ""
}

// elsewhere are functions of other databases, and what does the same here.
var elsewhere = map[string]string{
	"charindex": "strpos(text, part)", "curdate": "current_date", "date_format": "strftime(time, '%Y-%m-%d')", "dateadd": "time + INTERVAL 1 DAY",
	"from_unixtime": "to_timestamp(seconds)", "getdate": "now()", "iif": "if(condition, a, b)", "isnull": "x IS NULL, or ifnull(x, y)", "json_agg": "json_group_array(x)",
	"jsonb_agg": "json_group_array(x)", "nvl": "coalesce(x, y)", "percentile_cont": "quantile_cont(x, 0.5)", "regexp_substr": "regexp_extract(text, pattern)",
	"safe_cast": "TRY_CAST(x AS type)", "str_to_date": "strptime(text, '%Y-%m-%d')", "sysdate": "now()", "to_char": "strftime(time, '%Y-%m-%d')",
	"to_date": "strptime(text, '%Y-%m-%d')::DATE", "to_number": "CAST(x AS DECIMAL(18, 2))", "unix_timestamp": "epoch(time)",
}

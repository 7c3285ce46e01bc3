package pgwire_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// As PostgreSQL 15 writes them.
func TestIntervalStyles(t *testing.T) {
	t.Parallel()
	c := open(t).connect()
	for _, x := range []struct{ interval, postgres, iso string }{
		{"1 year 2 months 3 days 04:05:06.5", "1 year 2 mons 3 days 04:05:06.5", "P1Y2M3DT4H5M6.5S"},
		{"0 days", "00:00:00", "PT0S"},
		{"5 days", "5 days", "P5D"},
		{"-14 months", "-1 years -2 mons", "P-1Y-2M"},
		{"-1 seconds", "-00:00:01", "PT-1S"},
		{"-90 minutes", "-01:30:00", "PT-1H-30M"},
		{"-1500 milliseconds", "-00:00:01.5", "PT-1.5S"},
		{"1 microsecond", "00:00:00.000001", "PT0.000001S"},
		{"-14 months 3 days 01:00:00", "-1 years -2 mons +3 days 01:00:00", "P-1Y-2M3DT1H"},
		{"-1 days 1 hour", "-1 days +01:00:00", "P-1DT1H"},
		{"1 day -1 hours", "1 day -01:00:00", "P1DT-1H"},
		{"1 year -1 days", "1 year -1 days", "P1Y-1D"},
		{"30 hours", "30:00:00", "PT30H"},
	} {
		for style, want := range map[string]string{"postgres": x.postgres, "iso_8601": x.iso} {
			if _, err := c.Exec(t.Context(), "SET IntervalStyle = "+style); err != nil {
				t.Fatal(err)
			}
			var got, list string
			if err := c.QueryRow(t.Context(), "SELECT INTERVAL '"+x.interval+"', [INTERVAL '"+x.interval+"']", pgx.QueryExecModeSimpleProtocol).Scan(&got, &list); err != nil {
				t.Fatal(err)
			}
			if got != want || list != `{"`+want+`"}` {
				t.Errorf("%s as %s: %s and %s, want %s", x.interval, style, got, list, want)
			}
		}
	}
	if got := c.PgConn().ParameterStatus("IntervalStyle"); got != "iso_8601" && got != "postgres" {
		t.Error("not told:", got)
	}
	if _, err := c.Exec(t.Context(), "SET IntervalStyle = 'sql_standard'"); state(err) != "22023" {
		t.Error(err)
	}
}

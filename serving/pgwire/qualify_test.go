package pgwire_test

import "testing"

// A column may be called like a view, and stand behind a FROM that is no clause:
// so Grafana's macros ask for time in columns called hour and day.
func TestColumnsCalledLikeViews(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	c := b.connect()
	for q, want := range map[string]string{
		"SELECT extract(epoch FROM by_hour)::BIGINT::text FROM (SELECT min(hour) AS by_hour FROM by_hour)":                           "1299999600",
		`SELECT extract(hour FROM "by_hour")::text FROM (SELECT max(hour) AS by_hour FROM shops.by_hour)`:                            "17",
		"SELECT extract(epoch FROM (SELECT min(hour) FROM by_hour))::BIGINT::text":                                                   "1299999600",
		"SELECT (SELECT min(hour) FROM by_hour WHERE extract(year FROM hour) > 2000)::text":                                          "2011-03-13 07:00:00",
		"SELECT trim(both 'x' FROM by_shop) FROM (SELECT 'xyx' AS by_shop)":                                                          "y",
		"SELECT trim(FROM by_shop) FROM (SELECT ' y ' AS by_shop)":                                                                   "y",
		"SELECT substring('abc' FROM by_shop) FROM (SELECT 2 AS by_shop)":                                                            "bc",
		"SELECT (1 IS DISTINCT FROM by_shop)::text FROM (SELECT 1 AS by_shop)":                                                       "false",
		"SELECT (1 IS NOT DISTINCT FROM by_shop)::text FROM (SELECT 1 AS by_shop)":                                                   "true",
		"SELECT sum(n)::BIGINT::text FROM (FROM by_shop)":                                                                            "500",
		"FROM (SELECT sum(n)::BIGINT::text FROM by_shop)":                                                                            "500",
		"WITH s AS (FROM by_shop) SELECT sum(n)::BIGINT::text FROM s":                                                                "500",
		"SELECT max(trim(leading 's' FROM by_shop.shop)) FROM by_shop, by_hour WHERE by_shop.shop IS NOT DISTINCT FROM by_hour.shop": "hop '6'",
	} {
		var got string
		if err := c.QueryRow(t.Context(), q).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", q, got, err, want)
		}
	}
}

package httpapi_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
)

// Times are written alike in JSON and CSV, alone and inside lists, structs and
// maps; a time of day has no date, and one with a zone has the zone's offset.
func TestTimes(t *testing.T) {
	t.Parallel()
	s := door(t)
	for value, want := range map[string]string{
		"TIMETZ '12:00:00+02'": "12:00:00+02:00", "TIMETZ '12:00:00.5+02:30'": "12:00:00.5+02:30", "TIMETZ '23:59:59.999999-15:59:59'": "23:59:59.999999-15:59:59",
		"TIMETZ '00:00:00+15:59'": "00:00:00+15:59", "TIMETZ '07:08:09'": "07:08:09+00:00", "TIMETZ '12:00:00-00:30'": "12:00:00-00:30",
		"TIME '12:00:00.000001'": "12:00:00.000001", "TIME '24:00:00'": "24:00:00", "TIMETZ '24:00:00-02'": "24:00:00-02:00", "'12:00:00.123456789'::TIME_NS": "12:00:00.123456789", "'24:00:00'::TIME_NS": "24:00:00", "DATE '2011-03-13'": "2011-03-13", "TIMESTAMP '2011-03-13 01:02:03.5'": "2011-03-13 01:02:03.5",
		"TIMESTAMPTZ '2011-03-13 01:02:03+02'": "2011-03-12 23:02:03+00", "'2011-03-13 01:02:03.000000001'::TIMESTAMP_NS": "2011-03-13 01:02:03.000000001",
		"'infinity'::TIMESTAMP": "infinity", "'-infinity'::DATE": "-infinity", "'infinity'::TIMESTAMPTZ": "infinity", "'infinity'::TIMESTAMP_NS": "infinity",
		"'infinity'::TIMESTAMP_MS": "infinity", "'-infinity'::TIMESTAMP_S": "-infinity", "'0044-03-15 (BC)'::DATE": "-0043-03-15", "'12011-03-13'::DATE": "12011-03-13",
	} {
		query := "SELECT x, [x, NULL] AS l, {'a': x} AS s, MAP {x: [x]} AS m FROM (SELECT " + value + " AS x)"
		quoted, _ := json.Marshal(want)
		q := string(quoted)
		line := `{"x":` + q + `,"l":[` + q + `,null],"s":{"a":` + q + `},"m":{` + q + `:[` + q + `]}}` + "\n"
		if _, body, err := post(t, s, "application/x-ndjson", query); err != nil || string(body) != line {
			t.Errorf("%s: %s %v, want\n%s", value, body, err, line)
		}
		_, body, err := post(t, s, "text/csv", query)
		rows, bad := csv.NewReader(strings.NewReader(string(body))).ReadAll()
		if err != nil || bad != nil || len(rows) != 2 || strings.Join(rows[1], "|") != want+"|["+q+",null]|{\"a\":"+q+"}|{"+q+":["+q+"]}" {
			t.Errorf("%s: %s %v %v", value, body, err, bad)
		}
	}
}

// An object of a row has each name once, and the keys of a map tell themselves
// apart: numbers that JSON does not have, and those that have parts.
func TestNamesAndKeys(t *testing.T) {
	t.Parallel()
	s := door(t)
	for query, want := range map[string]string{
		"SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a, 5 AS A":                    `{"a":1,"a_1":2,"a_1_1":3,"a_2":4,"A":5}`,
		"SELECT MAP {'nan'::DOUBLE: 1, 'inf'::DOUBLE: 2, '-inf'::DOUBLE: 3}": `{"NaN":1,"+Inf":2,"-Inf":3}`,
		"SELECT MAP {[1, 2]: 'a', [NULL]: 'b'}":                              `{"[1,2]":"a","[null]":"b"}`,
		"SELECT MAP {{'k': 'x'}: MAP {MAP {1: true}: 2}}":                    `{"{\"k\":\"x\"}":{"{\"1\":true}":2}}`,
	} {
		_, body, err := post(t, s, "application/x-ndjson", query)
		got := strings.TrimSuffix(string(body), "\n")
		if strings.Contains(query, "MAP") {
			var row map[string]json.RawMessage
			if err := json.Unmarshal(body, &row); err != nil || len(row) != 1 {
				t.Errorf("%s: %s %v", query, body, err)
			}
			for _, m := range row {
				got = string(m)
			}
		}
		if err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", query, got, err, want)
		}
	}
}

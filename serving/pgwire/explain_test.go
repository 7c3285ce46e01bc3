package pgwire_test

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestExplainOptions(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fold("shops", 1, 500)
	c := b.connect()
	if _, err := c.Prepare(t.Context(), "some", "SELECT shop, n FROM shops.by_shop WHERE n > $1 AND shop = $2"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"EXPLAIN (VERBOSE, FORMAT JSON) SELECT * FROM shops.by_shop WHERE n > 3", "EXPLAIN (ANALYZE off, FORMAT json, COSTS) (SELECT * FROM by_shop)",
		"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE some(1, 'a')", "EXPLAIN (FORMAT JSON) EXECUTE some(NULL, NULL)"} {
		var text string
		if err := c.QueryRow(t.Context(), q, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
			t.Error(q, err)
			continue
		}
		var plans []struct {
			Plan struct {
				Plans []map[string]any
			}
		}
		if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 || len(plans[0].Plan.Plans) != 2 || plans[0].Plan.Plans[1]["Relation Name"] != "by_shop" {
			t.Error(q, text, err)
		}
	}
	// DBeaver asks so and draws what it reads.
	xmls := c.PgConn().Exec(t.Context(), "EXPLAIN (FORMAT XML,VERBOSE,COSTS FALSE) SELECT * FROM by_shop WHERE shop > '<&'")
	if results, err := xmls.ReadAll(); err != nil || len(results) != 1 || len(results[0].Rows) != 1 || results[0].FieldDescriptions[0].DataTypeOID != 142 {
		t.Error(results, err)
	} else {
		var document struct {
			XMLName xml.Name
			Plans   []struct {
				Relation string `xml:"Relation-Name"`
				Filter   string
			} `xml:"Query>Plan>Plans>Plan"`
		}
		err := xml.Unmarshal(results[0].Rows[0][0], &document)
		if err != nil || document.XMLName.Local != "explain" || len(document.Plans) != 2 || document.Plans[1].Relation != "by_shop" || !strings.Contains(document.Plans[1].Filter, "<&") {
			t.Errorf("%s: %v", results[0].Rows[0][0], err)
		}
	}
	for _, q := range []string{"EXPLAIN VERBOSE SELECT * FROM shops.by_shop", "EXPLAIN (COSTS off) SELECT * FROM shops.by_shop", "EXPLAIN (SELECT * FROM shops.by_shop)"} {
		all, err := c.Query(t.Context(), q)
		if rows, bad := pgx.CollectRows(all, pgx.RowToMap); err != nil || bad != nil || len(rows) != 2 || rows[0]["view"] != "shops.by_shop" {
			t.Error(q, rows, err, bad)
		}
	}
	for q, want := range map[string]string{"EXPLAIN (ANALYZE) SELECT 1": "25006", "EXPLAIN ANALYZE VERBOSE SELECT 1": "25006", "EXPLAIN (FORMAT YAML) SELECT 1": "0A000", "EXPLAIN EXECUTE nothing": "26000", "EXPLAIN": "42601",
		"EXPLAIN (FORMAT JSON": "42601", "EXPLAIN (FORMAT JSON)": "42601", "EXPLAIN (FORMAT JSON) DROP TABLE x": "25006"} {
		if _, err := c.PgConn().Exec(t.Context(), q).ReadAll(); state(err) != want {
			t.Errorf("%s: %v, want %s", q, err, want)
		}
	}
}

package pgwire_test

import (
	"encoding/hex"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// What a client without the extended protocol fetches from a binary cursor is
// binary: QGIS learns the order of bytes so, and reads the numbers of rows.
func TestBinaryCursor(t *testing.T) {
	t.Parallel()
	c := open(t).connect().PgConn()
	results, err := c.Exec(t.Context(), "BEGIN; DECLARE b BINARY CURSOR FOR SELECT 7::BIGINT, 'x', TRUE UNION ALL SELECT 8, 'y', FALSE; FETCH 1 FROM b; FETCH FORWARD 5 FROM b; CLOSE b; "+
		"DECLARE t CURSOR FOR SELECT 7::BIGINT, 'x', TRUE; FETCH 1 FROM t; COMMIT").ReadAll()
	if err != nil || len(results) != 8 {
		t.Fatal(len(results), err)
	}
	for i, want := range map[int][]string{2: {"0000000000000007", "78", "01"}, 3: {"0000000000000008", "79", "00"}, 6: {"37", "78", "74"}} {
		format := int16(pgproto3.BinaryFormat)
		if i == 6 {
			format = pgproto3.TextFormat
		}
		if r := results[i]; len(r.Rows) != 1 {
			t.Errorf("%d: %v", i, r.Rows)
		} else {
			for k, cell := range r.Rows[0] {
				if got := hex.EncodeToString(cell); got != want[k] || r.FieldDescriptions[k].Format != format {
					t.Errorf("%d, column %d: %s in format %d, want %s in %d", i, k, got, r.FieldDescriptions[k].Format, want[k], format)
				}
			}
		}
	}
	// Asked by the extended protocol, a FETCH is answered as that wants it.
	if _, err := c.Exec(t.Context(), "BEGIN; DECLARE b BINARY CURSOR FOR SELECT 7::BIGINT").ReadAll(); err != nil {
		t.Fatal(err)
	}
	r := c.ExecParams(t.Context(), "FETCH 1 FROM b", nil, nil, nil, nil).Read()
	if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != "7" {
		t.Errorf("%q %v", r.Rows, r.Err)
	}
}

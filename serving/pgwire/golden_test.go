package pgwire_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"anabranch/serving/pgwire"
)

var update = flag.Bool("update", false, "write the answers in testdata anew")

// What tools ask when they look around is in testdata/*.sql: recorded from the
// real ones where they could be run here, otherwise written down from what is
// known of them. Each question must be answered, and as the last time.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	b := open(t)
	b.fold("shops", 1, 500)
	b.fold("web", 1, 50)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := b.connect().PgConn()
			var out strings.Builder
			for _, query := range pgwire.Split(string(text)) {
				fmt.Fprintf(&out, "== %s\n", strings.Join(strings.Fields(query), " "))
				results, err := c.Exec(t.Context(), query).ReadAll()
				if err != nil {
					t.Errorf("%s\n%v", query, err)
				}
				for _, r := range results {
					write(&out, r)
				}
			}
			golden := strings.TrimSuffix(file, ".sql") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			got, before := strings.Split(out.String(), "\n== "), strings.Split(string(want), "\n== ")
			if len(got) != len(before) {
				t.Fatalf("%d answers, want %d: run with -args -update and look at the difference", len(got), len(before))
			}
			for i := range got {
				if got[i] != before[i] {
					t.Errorf("got\n%s\nwant\n%s", got[i], before[i])
				}
			}
		})
	}
}

// write shows an answer: columns with their types, some rows, how many.
func write(out *strings.Builder, r *pgconn.Result) {
	for i, f := range r.FieldDescriptions {
		fmt.Fprintf(out, "%s%s:%d", map[bool]string{true: "\n-- "}[i == 0], f.Name, f.DataTypeOID)
		if i < len(r.FieldDescriptions)-1 {
			out.WriteString(" | ")
		}
	}
	out.WriteByte('\n')
	for n, row := range r.Rows {
		if n == 8 {
			out.WriteString("...\n")
			break
		}
		for i, cell := range row {
			if i > 0 {
				out.WriteString(" | ")
			}
			if cell == nil {
				out.WriteString("NULL")
			}
			out.Write(cell)
		}
		out.WriteByte('\n')
	}
	fmt.Fprintf(out, "%s\n", r.CommandTag)
}

package view

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"anabranch/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestProblems compares the messages for faulty views and rules with
// testdata/problems.txt: after each text, between lines of "----", stands its
// message. "rule" before a text makes it a rule.
func TestProblems(t *testing.T) {
	t.Parallel()
	const file = "testdata/problems.txt"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, part := range strings.Split(strings.TrimSuffix(string(raw), "\n====\n"), "\n====\n") {
		text, want, _ := strings.Cut(part, "\n----\n")
		var err error
		if rule, ok := strings.CutPrefix(text, "rule "); ok {
			_, err = CompilePredicate(context.Background(), Source{Name: "r", SQL: rule, File: "pipeline.yaml", Line: 20, Column: 14}, retailShape)
		} else {
			_, err = Compile(context.Background(), Source{Name: "day", SQL: text, File: "views/day.sql"}, retailShape, "InvoiceDate")
		}
		got := "no problem"
		if err != nil {
			got = err.Error()
			if p := new(Problem); !errors.As(err, &p) || !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v is %T, kind %v", text, err, err, fault.KindOf(err))
			}
		}
		if got != want && !*update {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
		out.WriteString(text + "\n----\n" + got + "\n====\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	make := func() *table {
		return &table{
			columns: []string{"country", "n", "what was said about it"},
			numbers: []bool{false, true, false},
			rows: [][]string{
				{"France", "7", "short"},
				{"日本", "12345678", strings.Repeat("a long text, ", 8)},
				{"", "-1.50", "two\nlines"},
			},
		}
	}
	for _, width := range []int{0, 140, 80, 60, 40, 24} {
		var b strings.Builder
		if err := make().write(&b, width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if w := uniseg.StringWidth(strings.TrimRight(line, "\n")); width > 0 && w > width {
				t.Errorf("width %d: a line of %d: %s", width, w, line)
			}
		}
		if !strings.Contains(b.String(), "12345678") {
			t.Errorf("width %d: a number is cut:\n%s", width, b.String())
		}
	}
	var b strings.Builder
	if err := make().write(&b, 41); err != nil {
		t.Fatal(err)
	}
	const want = `country         n  what was said about it
-------  --------  ----------------------
France          7  short
日本     12345678  a long text, a long t…
            -1.50  two⏎lines
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// What events brought cannot give the terminal commands, nor turn a line around.
func TestTablesAreNoCommands(t *testing.T) {
	t.Parallel()
	got := clean([]string{"\x1b[31mred\x1b]0;title\x07", "a\x00\x7fb\u009b2Jc", "\u202eright\u2066left", "two\r\nlines\tand 中文", "plain"})
	want := []string{"␛[31mred␛]0;title␇", "a␀␡b�2Jc", "�right�left", "two⏎lines and 中文", "plain"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

package send

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"anabranch/fault"
)

func chunks(t *testing.T, text string, f Format, size int) []Chunk {
	t.Helper()
	s := NewSplitter(strings.NewReader(text), f, size)
	var all []Chunk
	for {
		c, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
}

func TestChunksTogetherAreTheFile(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		var body strings.Builder
		for i := range r.IntN(40) {
			fmt.Fprintf(&body, `%d,"a ""quoted"" %s",x`+"\n", i, strings.Repeat("line\n", r.IntN(3)))
		}
		text := "n,text,y\n" + body.String()
		if r.IntN(2) == 0 {
			text = strings.TrimSuffix(text, "\n")
		}
		var got strings.Builder
		got.WriteString("n,text,y\n")
		line := 2
		for _, c := range chunks(t, text, CSV, 1+r.IntN(200)) {
			rest, ok := bytes.CutPrefix(c.Body, []byte("n,text,y\n"))
			if !ok {
				t.Fatalf("no header in %q", c.Body)
			}
			if c.FirstLine != line || c.Header != 1 {
				t.Fatalf("chunk begins at line %d with %d header lines, want %d", c.FirstLine, c.Header, line)
			}
			line += bytes.Count(rest, []byte("\n"))
			got.Write(rest)
		}
		want := text
		if body.Len() == 0 {
			want = "n,text,y\n"
		}
		if got.String() != want {
			t.Fatalf("got %q\nwant %q", got.String(), want)
		}
	}
}

func TestNDJSONSplitsAtLines(t *testing.T) {
	t.Parallel()
	got := chunks(t, "{\"a\":\"\\\"\"}\n{}\n\n{}", NDJSON, 8)
	if len(got) != 2 || string(got[0].Body) != "{\"a\":\"\\\"\"}\n" || string(got[1].Body) != "{}\n\n{}" || got[1].FirstLine != 2 {
		t.Fatalf("%v", got)
	}
	if len(chunks(t, "", NDJSON, 8)) != 0 || len(chunks(t, " \n", JSON, 8)) != 0 {
		t.Fatal("an empty file gives no chunk")
	}
}

func TestAQuoteLeftOpenEndsWithItsLine(t *testing.T) {
	t.Parallel()
	s := NewSplitter(strings.NewReader("a,b\n1,\"x\n"+strings.Repeat("y\n", 8<<20)), CSV, 100)
	_, err := s.Next()
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 2") {
		t.Fatal(err)
	}
}

func TestOpenKnowsFormatAndCompression(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Format{"a.csv": CSV, "a.CSV.gz": CSV, "b.ndjson.zst": NDJSON, "c.jsonl": NDJSON, "d.json": JSON} {
		if got, err := formatOf(name, ""); err != nil || got != want {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
	if _, err := formatOf("-", ""); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, _, err := Open("no-such-file.csv", "", nil, io.Discard); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

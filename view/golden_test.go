package view

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var updateState = flag.Bool("update-state", false, "write testdata/state_v1.txt anew")

// TestGoldenStateIsStillRead opens a snapshot that older code wrote, and finds
// in it the groups that older code found, byte for byte.
func TestGoldenStateIsStillRead(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "state_v1.txt")
	wrap := func(b []byte) string {
		var lines strings.Builder
		for part := range strings.SplitSeq(hex.EncodeToString(b), "") {
			lines.WriteString(part)
			if lines.Len()%121 == 120 {
				lines.WriteByte('\n')
			}
		}
		return lines.String()
	}
	if *updateState {
		s := fuzzState(t, 12)
		snapshot, err := s.AppendBinary(nil)
		check(t, err)
		groups, err := s.Groups()
		check(t, err)
		check(t, os.WriteFile(name, []byte(wrap(snapshot)+"\n\n"+wrap(image(groups))+"\n"), 0o644))
	}
	text, err := os.ReadFile(name)
	check(t, err)
	var parts [2][]byte
	for i, part := range strings.SplitN(string(text), "\n\n", 2) {
		parts[i], err = hex.DecodeString(strings.Join(strings.Fields(part), ""))
		check(t, err)
	}
	v, _ := fuzzView()
	s := v.New()
	check(t, s.UnmarshalBinary(parts[0]))
	groups, err := s.Groups()
	check(t, err)
	if !bytes.Equal(image(groups), parts[1]) {
		t.Fatal("the groups of the golden snapshot are written differently")
	}
}

package pgwire

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"anabranch/fault"
)

// Every kind of error has an SQLSTATE, and so has every code that serving
// gives.
func TestEveryErrorHasAState(t *testing.T) {
	t.Parallel()
	states := regexp.MustCompile(`^[0-9A-Z]{5}$`)
	for k := fault.Unknown; !strings.HasPrefix(k.String(), "kind("); k++ {
		if !states.MatchString(byKind[k]) {
			t.Errorf("kind %s has the state %q", k, byKind[k])
		}
	}
	for code, state := range byCode {
		if !states.MatchString(state) {
			t.Errorf("code %s has the state %q", code, state)
		}
	}
	given := regexp.MustCompile(`WithCode\(.*, "([a-z_]+)"\)|refused\("([a-z_]+)"`)
	found := 0
	for _, folder := range []string{"..", "../sql", "."} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range given.FindAllStringSubmatch(string(text), -1) {
				found++
				if _, ok := byCode[m[1]+m[2]]; !ok {
					t.Errorf("%s: code %q has no SQLSTATE: add it to byCode in sqlstate.go", f, m[1]+m[2])
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d codes found: does the search still fit the code?", found)
	}
}

package soak

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamedTestsExist: a promise is only as good as the test behind it.
func TestNamedTestsExist(t *testing.T) {
	for name, about := range Tests {
		if !exists(t, about.Package, about.Func) {
			t.Errorf("%s names %s.%s, which is not there", name, about.Package, about.Func)
		}
	}
	for _, p := range Promises {
		if len(p.Tests) == 0 {
			t.Errorf("no test would break the promise %q", p.Text)
		}
		for _, test := range p.Tests {
			dot := strings.LastIndex(test, ".")
			if !exists(t, test[:dot], test[dot+1:]) {
				t.Errorf("%q: there is no test %s", p.Text, test)
			}
		}
	}
}

func exists(t *testing.T, pkg, test string) bool {
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if re.Match(text) {
			return true
		}
	}
	return false
}

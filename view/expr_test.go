package view

import (
	"bufio"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestExpressionsAgainstDuckDB evaluates every line of testdata/expressions.txt
// over random rows, here and in DuckDB: same type, same values, same nulls.
func TestExpressionsAgainstDuckDB(t *testing.T) {
	t.Parallel()
	seed := uint64(20261120)
	t.Logf("seed %d", seed)
	o := openMirror(t, randomRows(rand.New(rand.NewPCG(seed, 1)), 700))
	file, err := os.Open("testdata/expressions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	count := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		count++
		checkScalar(t, o, line, true)
	}
	t.Logf("%d expressions", count)
}

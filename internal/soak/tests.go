package soak

// Test is a long random test that a soak must have run.
type Test struct {
	Package string   // that holds it
	Func    string   // the Go test
	Shows   string   // what it would break
	Counts  []string // what it counts, for the columns of its table
	// Least is what a whole soak counts at least.
	Least map[string]int64
	// Sometimes are the situations that it must reach now and then.
	Sometimes []string
}

// Tests are the tests whose records make docs/reliability.md.
var Tests = map[string]Test{
	"metamorphic": {
		Package: "metamorphic", Func: "TestRandom",
		Shows:  "One history, played in many ways, gives what DuckDB and a plain map say, bit for bit.",
		Counts: []string{"cases", "answers", Events, Lost},
		Least:  map[string]int64{"cases": 20_000},
	},
	"kill": {
		Package: "cmd/anabranch", Func: "TestKilledAtRandom",
		Shows:  "kill -9 of the program, of Temporal or of a worker loses nothing and counts nothing twice.",
		Counts: []string{"kills", "runs", Events, Lost, Double},
		Least:  map[string]int64{"kills": 1_000},
	},
}

// Command report makes docs/reliability.md from the records of the last soak,
// and says what is missing in it.
//
//	go run ./internal/soak/report -records DIR -out docs/reliability.md
//
// It exits with 1 when a test failed, lost something, did less than a whole
// soak, or never reached a situation that it must reach sometimes.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	records := flag.String("records", "", "the folder that the soak wrote ($ANABRANCH_SOAK)")
	out := flag.String("out", "", "the page to write; empty: standard output")
	flag.Parse()
	red, err := run(*records, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	for _, why := range red {
		fmt.Fprintln(os.Stderr, "red:", why)
	}
	if len(red) > 0 {
		os.Exit(1)
	}
}

func run(records, out string) (red []string, err error) {
	if records == "" {
		return nil, fmt.Errorf("which records? -records DIR names the folder that make soak wrote")
	}
	all, err := read(os.DirFS(records))
	if err != nil {
		return nil, err
	}
	sums := add(all)
	red = judge(sums)
	var page strings.Builder
	write(&page, sums, red)
	if out == "" {
		fmt.Print(page.String())
		return red, nil
	}
	return red, os.WriteFile(out, []byte(page.String()), 0o644)
}

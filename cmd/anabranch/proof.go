package main

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

// truths are the views that an independent program has computed, each with how
// many of its columns are the key.
var truths = []struct {
	view string
	file string
	keys int
}{
	{"day", "day_dedup.csv", 1},
	{"hour", "hour_dedup.csv", 1},
	{"country_day", "country_day_dedup.csv", 2},
	{"customer", "customer_dedup.csv", 1},
	{"product_month", "product_month_dedup.csv.gz", 2},
}

// proof compares every view with the truth, row by row, and the ledger with
// nought.
func (d *demo) proof(ctx context.Context) error {
	var line []string
	bad := false
	for _, t := range truths {
		merged, err := queryCSV(ctx, d.client, "SELECT * FROM retail."+t.view)
		if err != nil {
			return err
		}
		truth, err := readTruth(filepath.Join(d.example, "truth", t.file))
		if err != nil {
			return err
		}
		equal, differing := compareRows(merged, truth, t.keys)
		line = append(line, fmt.Sprintf("%s %d/%d", t.view, equal, len(truth)-1))
		for _, text := range differing {
			bad = true
			d.say("retail.%s differs: %s", t.view, text)
		}
	}
	ledger, err := settledLedger(ctx, d.client, "retail")
	if err != nil {
		return err
	}
	state := "balanced"
	if !ledger.Balanced || ledger.InFlight != 0 {
		bad = true
		state = fmt.Sprintf("out of balance by %d, %d in flight", ledger.Imbalance, ledger.InFlight)
	}
	outcome := "equal"
	if bad {
		outcome = "NOT ALL EQUAL"
	}
	d.say("proof: %s %s; ledger %s", strings.Join(line, ", "), outcome, state)
	if bad {
		return errDiffers
	}
	return nil
}

// queryCSV returns the answer to a query as text cells, the header first.
func queryCSV(ctx context.Context, cl *client.Client, sql string) ([][]string, error) {
	body, err := json.Marshal(map[string]string{"sql": sql, "consistency": "latest"})
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	resp, err := cl.Do(ctx, http.MethodPost, "/v1/query", http.Header{"Accept": {"text/csv"}, "Content-Type": {"application/json"}}, body)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", sql, err)
	}
	defer resp.Body.Close()
	return csv.NewReader(resp.Body).ReadAll()
}

func readTruth(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// compareRows matches rows by their key columns, whatever their order, and
// returns how many are equal and a line for each of the first ten that are
// not. The headers must agree too.
func compareRows(merged, truth [][]string, keys int) (equal int, differing []string) {
	const shown = 10
	tell := func(format string, args ...any) {
		if len(differing) < shown {
			differing = append(differing, fmt.Sprintf(format, args...))
		}
	}
	if len(merged) == 0 || len(truth) == 0 || strings.Join(merged[0], ",") != strings.Join(truth[0], ",") {
		tell("the columns are not those of the truth")
		return 0, differing
	}
	byKey := map[string]string{}
	for _, r := range merged[1:] {
		key := strings.Join(r[:keys], "\x00")
		if _, twice := byKey[key]; twice {
			tell("two rows of %q", r[:keys])
		}
		byKey[key] = strings.Join(r, ",")
	}
	for _, r := range truth[1:] {
		key, want := strings.Join(r[:keys], "\x00"), strings.Join(r, ",")
		got, ok := byKey[key]
		delete(byKey, key)
		switch {
		case !ok:
			tell("%s is missing", want)
		case got != want:
			tell("got %s, want %s", got, want)
		default:
			equal++
		}
	}
	for _, row := range byKey {
		tell("%s is too much", row)
	}
	return equal, differing
}

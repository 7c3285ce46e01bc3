package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"anabranch/cmd/anabranch/api"
	"anabranch/workflows"
)

// TestExitCodesOfABatch: what a scheduler learns of a run that ends, fails,
// takes too long or waits for a person.
func TestExitCodesOfABatch(t *testing.T) {
	t.Parallel()
	running := api.Run{ID: "nightly-retail-k", Kind: "nightly", State: "running", Phase: "fold", Progress: &workflows.Progress{State: "running"}}
	with := func(change func(*api.Run)) api.Run { r := running; change(&r); return r }
	completed := with(func(r *api.Run) { r.State, r.Manifest = "completed", 7 })
	failed := with(func(r *api.Run) { r.State, r.Error = "failed", "rows are missing" })
	waits := func(what string) api.Run {
		return with(func(r *api.Run) { r.Progress = &workflows.Progress{State: "waits", Waits: what} })
	}
	for _, c := range []struct {
		name   string
		args   string
		status int       // of the start; 0: 200
		runs   []api.Run // the answers, the last one again and again
		code   int
		said   string // in standard error
	}{
		{"it ends well", "--wait", 0, []api.Run{running, completed}, 0, "nightly: fold"},
		{"joined when it had ended", "", 0, []api.Run{completed}, 0, ""},
		{"it fails", "--wait", 0, []api.Run{running, failed}, exitDiffers, "rows are missing"},
		{"it was cancelled", "", 0, []api.Run{with(func(r *api.Run) { r.State = "cancelled" })}, exitDiffers, "cancelled"},
		{"it takes too long", "--timeout 1ms", 0, []api.Run{running}, exitTimeout, "goes on without this command"},
		{"it waits for an approval", "--wait", 0, []api.Run{running, waits("approve")}, exitWaits, "approve nightly-retail-k"},
		{"somebody paused it", "--timeout 5m", 0, []api.Run{running, waits("resume"), completed}, 0, ""},
		{"nobody waits", "--wait=false", 0, []api.Run{running}, 0, ""},
		{"detached", "--detach", 0, []api.Run{running}, 0, ""},
		{"not allowed", "", http.StatusForbidden, nil, exitUsage, "not today"},
		{"a date that is none", "--date 31.8.2011", http.StatusBadRequest, nil, exitUsage, "not today"},
		{"later", "", http.StatusServiceUnavailable, nil, exitUnreachable, "not today"},
		{"no such pipeline", "", http.StatusNotFound, nil, exitNotFound, "not today"},
		{"both", "--wait --detach", 0, []api.Run{running}, exitUsage, "[detach wait]"},
		{"time that is none", "--timeout -1s", 0, []api.Run{running}, exitUsage, "--timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			var started api.StartBatch
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					_ = json.NewDecoder(r.Body).Decode(&started)
				}
				if c.status != 0 {
					w.WriteHeader(c.status)
					_ = json.NewEncoder(w).Encode(api.Problem{Title: "no", Detail: "not today"})
					return
				}
				_ = json.NewEncoder(w).Encode(c.runs[min(int(asked.Add(1)), len(c.runs))-1])
			}))
			defer s.Close()
			root, began := newRoot()
			var out, said bytes.Buffer
			root.SetOut(&out)
			root.SetErr(&said)
			root.SetArgs(append([]string{"batch", "retail", "--key", "k", "-o", "json", "--server", s.URL}, strings.Fields(c.args)...))
			err := misused(root.ExecuteContext(t.Context()), *began)
			if got := exitCode(err, false); got != c.code {
				t.Errorf("exit code %d, want %d: %v\n%s", got, c.code, err, said.String())
			}
			if err != nil {
				said.WriteString(err.Error())
			}
			if !strings.Contains(said.String(), c.said) {
				t.Errorf("said %q, want %q", said.String(), c.said)
			}
			var told api.Run
			if c.runs != nil && c.code != exitUsage {
				if err := json.Unmarshal(out.Bytes(), &told); err != nil || told.ID != "nightly-retail-k" || started.Key != "k" {
					t.Errorf("standard output %q: %v; key %q", out.String(), err, started.Key)
				}
			}
		})
	}
}

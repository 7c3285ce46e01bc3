package server_test

import (
	"net/http"
	"strings"
	"testing"

	"anabranch/batch"
	"anabranch/fault"
)

// TestBackfillIsPlannedWithoutTemporal: a plan needs no worker; an instruction
// does, and says so.
func TestBackfillIsPlannedWithoutTemporal(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.apply(definition(t, nil))
	var e batch.Estimate
	for path, want := range map[string]string{
		"?from=2011-03-01":               "run a nightly first",
		"?from=march":                    `day "march": want one like 2011-03-01`,
		"?view=nobody":                   "",
		"?to=2011-02-29":                 "want one like",
		"?from=2011-03-02&to=2011-03-01": "its first day lies behind its last",
	} {
		err := r.client.JSON(t.Context(), http.MethodGet, "/v1/pipelines/retail/backfills/plan"+path, nil, &e)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if err := r.client.JSON(t.Context(), http.MethodPost, "/v1/runs/some/pause", map[string]string{"by": "ana", "reason": "r"}, nil); !fault.KindOf(err).Retryable() || !strings.Contains(err.Error(), "no Temporal") {
		t.Error(err)
	}
}

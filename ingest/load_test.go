package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/internal/problem"
	"anabranch/schemas"
)

// TestLoads refuses the lowest lane first, says why and when to come again,
// and takes what comes once the load has fallen.
func TestLoads(t *testing.T) {
	t.Parallel()
	var percent atomic.Int64
	tb := setup(t, func(o *Options) {
		o.Lanes = []schemas.Lane{{Name: "history", Priority: 1}, {Name: "live", Priority: 10}, {Name: "middle", Priority: 5}}
		o.Loads = func() []Load {
			return []Load{
				{Code: "other", What: "something else", Share: 0.1, After: time.Minute},
				{Code: "memory", What: "the memory", Share: float64(percent.Load()) / 100, After: 3 * time.Second},
			}
		}
	})
	for n, c := range []struct {
		percent int64
		taken   string
	}{{79, "live middle history"}, {80, "live middle"}, {89, "live middle"}, {90, "live"}, {99, "live"}, {100, ""}, {500, ""}, {0, "live middle history"}} {
		percent.Store(c.percent)
		for _, lane := range []string{"live", "middle", "history"} {
			w := post(tb.handler(), strings.NewReader(sale(fmt.Sprint(n, lane), "ann", 1)), HeaderLane, lane)
			if strings.Contains(c.taken, lane) {
				if w.Code != 200 {
					t.Errorf("lane %s at %d %%: %d %s", lane, c.percent, w.Code, w.Body)
				}
				continue
			}
			var p problem.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 429 || p.Code != "memory" || p.Detail == "" || w.Header().Get("Retry-After") != "3" {
				t.Errorf("lane %s at %d %%: %d %s, Retry-After %q", lane, c.percent, w.Code, w.Body, w.Header().Get("Retry-After"))
			}
		}
	}
}

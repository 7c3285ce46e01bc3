package metamorphic

import (
	"errors"
	"testing"
)

// TestShrink makes cases with everything in them as small as a planted failure
// allows: one event, sent once, under one definition, to the plainest rooms.
func TestShrink(t *testing.T) {
	t.Parallel()
	stage := openStage(t, nil)
	stage.planted = func(w *world) error {
		for _, rows := range w.rows {
			for _, r := range rows {
				if w.text(w.Events[r.variant/2], "name") == "hot" {
					return errors.New("a hot event was counted")
				}
			}
		}
		return nil
	}
	seen := 0
	for s := *seed; seen < 2; s++ {
		c := generate(s)
		if c.Later == nil || len(c.Events) > 120 {
			continue
		}
		err := stage.play(t.Context(), c)
		if err == nil {
			continue
		}
		seen++
		small, why := stage.shrink(t.Context(), c, err)
		rows := 0
		for _, s := range small.Sends {
			rows += len(s.Events)
		}
		if len(small.Runs) != 1 || len(small.Runs[0].Actions) != 0 || small.Later != nil || len(small.Rules) != 0 || rows != 1 || len(small.Views) != 1 || small.Runs[0].Settings.Log != "" || small.Runs[0].Settings.Partitions != 1 {
			t.Errorf("seed %d (%v): %d runs, %d actions, %d rules, %d events, %d views, later %v, %+v",
				s, why, len(small.Runs), len(small.Runs[0].Actions), len(small.Rules), rows, len(small.Views), small.Later != nil, small.Runs[0].Settings)
		}
	}
}

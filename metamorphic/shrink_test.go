package metamorphic

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// shrinker makes a failing case smaller for as long as it fails.
type shrinker struct {
	*stage
	ctx   context.Context
	until time.Time
	c     *Case
	why   error
}

// shrink drops what a failing case does not need: runs, the later definition,
// settings, views, sends, actions and what they ask for, rules, events of
// sends, fields. It stops after half a minute.
func (s *stage) shrink(ctx context.Context, c *Case, why error) (*Case, error) {
	h := &shrinker{stage: s, ctx: ctx, until: time.Now().Add(30 * time.Second), c: c, why: why}
	for again := true; again && h.left(); {
		again = false
		for _, pass := range []func() bool{h.runs, h.later, h.settings, h.views, h.sends, h.actions, h.rules, h.events, h.fields} {
			again = pass() || again
		}
	}
	return tidy(h.c), h.why
}

func (h *shrinker) left() bool { return time.Now().Before(h.until) }

// try takes a smaller case when it fails too.
func (h *shrinker) try(change func(*Case)) bool {
	if !h.left() {
		return false
	}
	smaller := with(h.c, change)
	err := h.play(h.ctx, smaller)
	if err == nil || errors.Is(err, errNoCase) {
		return false
	}
	h.c, h.why = smaller, err
	return true
}

func (h *shrinker) runs() bool {
	for r := range h.c.Runs {
		if len(h.c.Runs) > 1 && h.try(func(c *Case) { c.Runs = slices.Delete(c.Runs, r, r+1) }) {
			return true
		}
	}
	return false
}

// later lets one definition do for the whole history: the first, or the later
// one from the beginning.
func (h *shrinker) later() bool {
	if h.c.Later == nil {
		return false
	}
	still := func(c *Case) {
		for i := range c.Sends {
			c.Sends[i].Later = false
		}
	}
	return h.try(func(c *Case) {
		values := make([][]*string, len(c.Events))
		for i, e := range c.Events {
			if e.Line == "" {
				values[i] = c.values(e, false)
			}
		}
		c.Later = nil
		for i := range values {
			c.Events[i].Values = values[i]
		}
		still(c)
	}) || h.try(func(c *Case) {
		c.Fields, c.Views, c.Later = c.Later.Fields, c.Later.Views, nil
		still(c)
	})
}

// settings makes each setting the plainest.
func (h *shrinker) settings() (some bool) {
	plain := Settings{Partitions: 1, LingerMicros: -1, FrameBytes: 1 << 20, SegmentRows: 100000, ChunkRows: 100000, FoldRows: 100000, MaxGroups: 100000, SnapshotRecords: 1000}
	for r := range h.c.Runs {
		for _, set := range []func(s *Settings){
			func(s *Settings) { s.Log = plain.Log },
			func(s *Settings) { s.Bucket = plain.Bucket },
			func(s *Settings) { s.Gateways = plain.Gateways },
			func(s *Settings) { s.LoseAcks = plain.LoseAcks },
			func(s *Settings) { s.Grace = plain.Grace },
			func(s *Settings) { s.Partitions = plain.Partitions },
			func(s *Settings) { s.LingerMicros, s.FrameBytes = plain.LingerMicros, plain.FrameBytes },
			func(s *Settings) { s.SegmentRows, s.SnapshotRecords = plain.SegmentRows, plain.SnapshotRecords },
			func(s *Settings) {
				s.ChunkRows, s.FoldRows, s.MaxGroups = plain.ChunkRows, plain.FoldRows, plain.MaxGroups
			},
		} {
			changed := h.c.Runs[r].Settings
			if set(&changed); changed != h.c.Runs[r].Settings {
				some = h.try(func(c *Case) { c.Runs[r].Settings = changed }) || some
			}
		}
	}
	return some
}

func (h *shrinker) views() bool {
	some := drop(len(h.c.Views), func(from, to int) bool {
		return to-from < len(h.c.Views) && h.try(func(c *Case) { c.Views = slices.Delete(c.Views, from, to) })
	})
	if h.c.Later == nil {
		return some
	}
	return drop(len(h.c.Later.Views), func(from, to int) bool {
		return to-from < len(h.c.Later.Views) && h.try(func(c *Case) { c.Later.Views = slices.Delete(c.Later.Views, from, to) })
	}) || some
}

func (h *shrinker) sends() bool {
	return drop(len(h.c.Sends), func(from, to int) bool {
		return h.try(func(c *Case) { c.Sends = slices.Delete(c.Sends, from, to) })
	})
}

func (h *shrinker) actions() (some bool) {
	for r := range h.c.Runs {
		some = drop(len(h.c.Runs[r].Actions), func(from, to int) bool {
			return h.try(func(c *Case) { c.Runs[r].Actions = slices.Delete(c.Runs[r].Actions, from, to) })
		}) || some
		for i := range h.c.Runs[r].Actions {
			a := h.c.Runs[r].Actions[i]
			plainer := Action{Do: a.Do, N: a.N}
			switch a.Do {
			case "together":
				plainer = Action{Do: "send"}
			case "race":
				plainer = Action{Do: "nightly"}
			}
			if a != plainer {
				some = h.try(func(c *Case) { c.Runs[r].Actions[i] = plainer }) || some
			}
		}
	}
	return some
}

func (h *shrinker) rules() bool {
	return drop(len(h.c.Rules), func(from, to int) bool {
		return h.try(func(c *Case) { c.Rules = slices.Delete(c.Rules, from, to) })
	})
}

func (h *shrinker) events() (some bool) {
	for n := 0; n < len(h.c.Sends); n++ {
		some = drop(len(h.c.Sends[n].Events), func(from, to int) bool {
			return h.try(func(c *Case) { c.Sends[n].Events = slices.Delete(c.Sends[n].Events, from, to) })
		}) || some
	}
	return some
}

// fields drops the fields that nothing needs.
func (h *shrinker) fields() (some bool) {
	for _, f := range slices.Clone(h.c.newest()) {
		if f.Name == h.c.Time || f.Name == "name" || f.Name == "small" || slices.Contains(h.c.ID, f.Name) {
			continue
		}
		some = h.try(func(c *Case) {
			named := func(o Field) bool { return o.Name == f.Name }
			at := slices.IndexFunc(c.newest(), named)
			for i := range c.Events {
				if e := &c.Events[i]; e.Line == "" {
					e.Values = slices.Delete(e.Values, at, at+1)
				}
			}
			c.Fields = slices.DeleteFunc(c.Fields, named)
			if c.Later != nil {
				c.Later.Fields = slices.DeleteFunc(c.Later.Fields, named)
			}
		}) || some
	}
	return some
}

// drop offers stretches of n things, long ones first, to remove.
func drop(n int, remove func(from, to int) bool) (some bool) {
	for size := n; size > 0; size /= 2 {
		for from := n - size; from >= 0; from -= size {
			if remove(from, from+size) {
				n -= size
				some = true
			}
		}
	}
	return some
}

// with returns a changed copy.
func with(c *Case, change func(*Case)) *Case {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	var out Case
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	change(&out)
	return &out
}

// tidy removes the events that no send has.
func tidy(c *Case) *Case {
	return with(c, func(c *Case) {
		var events []Event
		place := map[int]int{}
		for s := range c.Sends {
			for i, e := range c.Sends[s].Events {
				if _, ok := place[e]; !ok {
					place[e] = len(events)
					events = append(events, c.Events[e])
				}
				c.Sends[s].Events[i] = place[e]
			}
		}
		c.Events = events
	})
}

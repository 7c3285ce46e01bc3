package metamorphic

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// shrink drops what a failing case does not need: actions, sends, views,
// rules, events of sends. It stops after half a minute.
func (s *stage) shrink(ctx context.Context, c *Case, why error) (*Case, error) {
	until := time.Now().Add(30 * time.Second)
	try := func(smaller *Case) bool {
		if time.Now().After(until) {
			return false
		}
		if _, err := s.compile(ctx, smaller); err != nil {
			return false
		}
		err := s.play(ctx, smaller)
		if err != nil {
			c, why = smaller, err
		}
		return err != nil
	}
	for again := true; again && time.Now().Before(until); {
		again = false
		for r := range c.Runs {
			if len(c.Runs) > 1 && try(with(c, func(c *Case) { c.Runs = slices.Delete(c.Runs, r, r+1) })) {
				again = true
				break
			}
		}
		again = drop(len(c.Views), func(from, to int) bool {
			return to-from < len(c.Views) && try(with(c, func(c *Case) { c.Views = slices.Delete(c.Views, from, to) }))
		}) || again
		again = drop(len(c.Sends), func(from, to int) bool {
			return try(with(c, func(c *Case) { c.Sends = slices.Delete(c.Sends, from, to) }))
		}) || again
		for r := range c.Runs {
			again = drop(len(c.Runs[r].Actions), func(from, to int) bool {
				return try(with(c, func(c *Case) { c.Runs[r].Actions = slices.Delete(c.Runs[r].Actions, from, to) }))
			}) || again
		}
		again = drop(len(c.Rules), func(from, to int) bool {
			return try(with(c, func(c *Case) { c.Rules = slices.Delete(c.Rules, from, to) }))
		}) || again
		for n := 0; n < len(c.Sends); n++ {
			again = drop(len(c.Sends[n].Events), func(from, to int) bool {
				return try(with(c, func(c *Case) { c.Sends[n].Events = slices.Delete(c.Sends[n].Events, from, to) }))
			}) || again
		}
	}
	return tidy(c), why
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

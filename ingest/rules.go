package ingest

import (
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// CodeRuleFailed is the code of events for which a rule could not be
// evaluated: an overflow, a bad cast. They are not let through unjudged.
const CodeRuleFailed = "rule_failed"

// verdict says why a row is rejected: rule is the index of the rule that
// matched, or failed when err is set; -1 when the row may pass.
type verdict struct {
	rule int
	err  error
}

// judge evaluates the rules over the columns of b, in order; the first that
// matches a row decides. The verdicts are kept in memory lent by the caller.
func judge(rules []Rule, b *event.Batch, out []verdict, match []bool) ([]verdict, []bool, error) {
	out = resize(out, b.N)
	match = resize(match, b.N)
	for i := range out {
		out[i] = verdict{rule: undecided}
	}
	for r, rule := range rules {
		clear(match)
		if err := rule.Matches.Eval(b, match); err != nil {
			if !fault.Is(err, fault.Invalid) {
				return out, match, err
			}
			judgeOneByOne(rule, r, b, out, match)
		}
		decided := r
		if rule.Action == schemas.ActionFilter {
			decided = pass
		}
		for i, yes := range match {
			if yes && out[i].rule == undecided {
				out[i].rule = decided
			}
		}
	}
	return out, match, nil
}

const (
	undecided = -1 // no rule matched: the row passes
	pass      = -2 // a filter matched first: the row passes, and no later rule is asked
)

// judgeOneByOne finds the rows for which rule r fails; those become letters
// unless an earlier rule has decided. For all others it sets match.
func judgeOneByOne(rule Rule, r int, b *event.Batch, out []verdict, match []bool) {
	var row [1]uint32
	var yes [1]bool
	for i := range match {
		row[0], yes[0] = uint32(i), false
		err := rule.Matches.Eval(b.Gather(row[:]), yes[:])
		match[i] = err == nil && yes[0]
		if err != nil && out[i].rule == undecided {
			out[i] = verdict{rule: r, err: err}
		}
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

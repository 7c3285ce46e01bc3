package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"anabranch/internal/clock"
	"anabranch/internal/outbox"
)

// ear keeps what it is told.
type ear struct {
	mu  sync.Mutex
	got []Notice
}

func (e *ear) Deliver(_ context.Context, m outbox.Message) error {
	var n Notice
	if err := json.Unmarshal(m.Body, &n); err != nil {
		return err
	}
	if n.Text != m.Text {
		return fmt.Errorf("text %q and %q", n.Text, m.Text)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, n)
	return nil
}

func (e *ear) String() string { return "ear" }

func (e *ear) heard() (out []string) {
	for _, n := range e.got {
		out = append(out, fmt.Sprint(n.Status, " ", n.Severity, " ", n.Name, " ", n.Pipeline, " ", n.Subject, " ", n.Count))
	}
	return out
}

func TestPeopleAreCalledOnceAndLouderAndWhenItIsOver(t *testing.T) {
	t.Parallel()
	var hook, boss ear
	hooks, bosses := outbox.New(&hook, outbox.Options{}), outbox.New(&boss, outbox.Options{})
	now := clock.NewManual(time.Date(2011, 9, 1, 3, 0, 0, 0, time.UTC))
	a := New(Options{Hooks: []*outbox.Outbox{hooks}, Escalation: []*outbox.Outbox{bosses}, After: 3, Repeat: time.Hour, Clock: now})
	nightly, imbalance := Key{RunFailed, "retail", "nightly"}, Key{Imbalance, "retail", ""}
	raise := func(k Key) { a.Raise(Alert{Key: k, Summary: "rows are missing", Todo: "look"}) }

	a.Resolve(nightly, "fine") // was never open
	raise(nightly)
	raise(nightly) // known
	raise(imbalance)
	raise(nightly) // escalates
	raise(nightly) // known
	now.Advance(time.Hour)
	raise(nightly) // goes on
	a.Resolve(nightly, "the last one ended well")
	raise(nightly) // begins anew
	hooks.Stop()
	bosses.Stop()
	if got, want := hook.heard(), []string{
		"firing warning run_failed retail nightly 1",
		"firing warning ledger_imbalance retail  1",
		"firing critical run_failed retail nightly 3",
		"firing critical run_failed retail nightly 5",
		"resolved critical run_failed retail nightly 5",
		"firing warning run_failed retail nightly 1",
	}; !slices.Equal(got, want) {
		t.Errorf("the hook heard\n%q, want\n%q", got, want)
	}
	if got, want := boss.heard(), []string{
		"firing critical run_failed retail nightly 3",
		"firing critical run_failed retail nightly 5",
		"resolved critical run_failed retail nightly 5",
	}; !slices.Equal(got, want) {
		t.Errorf("the escalation heard\n%q, want\n%q", got, want)
	}
	if want := "[critical] run_failed retail nightly: rows are missing (5 times since 2011-09-01T03:00:00Z): look"; hook.got[3].Text != want {
		t.Errorf("text %q, want %q", hook.got[3].Text, want)
	}
}

func TestManyAlertsAreBounded(t *testing.T) {
	t.Parallel()
	a := New(Options{})
	for i := range 3 * maxOpen {
		a.Raise(Alert{Key: Key{Damage, "retail", fmt.Sprint(i)}})
	}
	if len(a.open) != maxOpen {
		t.Errorf("%d are remembered", len(a.open))
	}
	var none *Alerts
	none.Raise(Alert{})
	none.Resolve(Key{}, "")
}

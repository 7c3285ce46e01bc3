// Package alert calls people when something is wrong that they have to look
// at: once when it begins, louder when it goes on, and once when it is over.
package alert

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"anabranch/internal/clock"
	"anabranch/internal/outbox"
)

// The names of what is alerted.
const (
	RunFailed = "run_failed"       // a batch run ended badly
	RunWaits  = "run_waits"        // a batch run waits for a person
	Drift     = "drift"            // a view is not what its SELECT says
	Imbalance = "ledger_imbalance" // events are missing or counted twice
	Damage    = "damage"           // what was read is not what was written
	// RolledBack: a view's new version differed too much from the one that answers.
	RolledBack = "canary_rolled_back"
)

// Key tells alerts apart: what is raised again under one key is one alert.
type Key struct {
	Name     string `json:"alert"`
	Pipeline string `json:"pipeline,omitempty"`
	Subject  string `json:"subject,omitempty"` // what of the pipeline: a view, a kind of run, a part
}

// Alert is a reason to look.
type Alert struct {
	Key
	Summary string // what is wrong, a sentence
	Todo    string // where to look
	URL     string // a page with more; may be empty
}

// Notice is what receivers get, as JSON. Its field text is what chat programs
// show.
type Notice struct {
	Text     string    `json:"text"`
	Status   string    `json:"status"`   // firing, or resolved
	Severity string    `json:"severity"` // warning, or critical once it has escalated
	Key                // flattened
	Summary  string    `json:"summary"`
	Todo     string    `json:"todo,omitempty"`
	URL      string    `json:"url,omitempty"`
	Count    int       `json:"count"` // how often it was raised
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Options of Alerts. A zero field means its default.
type Options struct {
	Hooks []*outbox.Outbox // told of everything
	// Escalation is told in addition, of alerts that were raised After times
	// without being over.
	Escalation []*outbox.Outbox
	After      int           // default 3
	Repeat     time.Duration // how often people are reminded of what goes on; default 4 h
	Clock      clock.Clock   // default clock.Wall
	Log        *slog.Logger  // default: discard
}

// Alerts knows which alerts are open. A nil *Alerts drops all.
type Alerts struct {
	opts Options

	mu   sync.Mutex // guards open
	open map[Key]*state
}

type state struct {
	notice    Notice
	told      time.Time
	escalated bool
}

// maxOpen bounds what is remembered; more at once is one great trouble, which
// people have been told of.
const maxOpen = 1000

// New returns Alerts; stop the outboxes after whoever raises has ended.
func New(o Options) *Alerts {
	o.After = cmp.Or(o.After, 3)
	o.Repeat = cmp.Or(o.Repeat, 4*time.Hour)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	return &Alerts{opts: o, open: map[Key]*state{}}
}

// Raise tells the hooks, unless they know already, and returns at once.
func (a *Alerts) Raise(in Alert) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opts.Clock.Now()
	s := a.open[in.Key]
	if s == nil {
		if len(a.open) >= maxOpen {
			a.opts.Log.Error("too many alerts are open; this one goes to the log only", "alert", in.Name, "pipeline", in.Pipeline, "summary", in.Summary)
			return
		}
		s = &state{notice: Notice{Status: "firing", Severity: "warning", Key: in.Key, First: now}}
		a.open[in.Key] = s
	}
	n := &s.notice
	n.Summary, n.Todo, n.URL, n.Last, n.Count = in.Summary, in.Todo, in.URL, now, n.Count+1
	escalates := !s.escalated && n.Count >= a.opts.After
	if escalates {
		s.escalated, n.Severity = true, "critical"
	}
	if n.Count > 1 && !escalates && now.Sub(s.told) < a.opts.Repeat {
		return
	}
	s.told = now
	a.tell(s)
}

// Resolve says that an alert is over, if it was open.
func (a *Alerts) Resolve(key Key, summary string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.open[key]
	if s == nil {
		return
	}
	delete(a.open, key)
	s.notice.Status, s.notice.Summary, s.notice.Last = "resolved", summary, a.opts.Clock.Now()
	a.tell(s)
}

func (a *Alerts) tell(s *state) {
	n := s.notice
	n.Text = n.sentence()
	body, err := json.Marshal(n)
	if err != nil {
		a.opts.Log.Error("an alert cannot be written as JSON", "error", err, "alert", n.Text)
		return
	}
	for _, b := range a.opts.Hooks {
		b.Put(outbox.Message{Text: n.Text, Body: body})
	}
	if s.escalated {
		for _, b := range a.opts.Escalation {
			b.Put(outbox.Message{Text: n.Text, Body: body})
		}
	}
}

func (n Notice) sentence() string {
	of := n.Pipeline
	if n.Subject != "" {
		of += " " + n.Subject
	}
	if n.Status == "resolved" {
		return fmt.Sprintf("[resolved] %s %s: %s", n.Name, of, n.Summary)
	}
	times := ""
	if n.Count > 1 {
		times = fmt.Sprintf(" (%d times since %s)", n.Count, n.First.UTC().Format(time.RFC3339))
	}
	text := fmt.Sprintf("[%s] %s %s: %s%s", n.Severity, n.Name, of, n.Summary, times)
	if n.Todo != "" {
		text += ": " + n.Todo
	}
	return text
}

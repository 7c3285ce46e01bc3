package workflows

import (
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/batch"
)

// TestDataDateComesFromTheNominalTime: whatever the clock says when a run of a
// schedule starts, it is about the day before it was due; and one that starts
// later than the schedule catches up was asked for again.
func TestDataDateComesFromTheNominalTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, id, clock string
		nominal         Nominal
		date            string
		again           bool
	}{
		{"on time", "nightly-retail-2011-09-01T03:00:00Z", "2011-09-01T03:00:01Z", Nominal{}, "2011-08-31", false},
		{"after midnight, in another zone", "nightly-retail-2011-09-01T03:00:00Z", "2011-09-01T03:00:01Z", Nominal{Timezone: "America/New_York"}, "2011-08-30", false},
		{"caught up a day later", "nightly-retail-2011-09-01T03:00:00Z", "2011-09-02T02:00:00Z", Nominal{CatchUp: "24h"}, "2011-08-31", false},
		{"a night of the past", "nightly-retail-2011-09-01T03:00:00Z", "2011-12-10T15:00:00Z", Nominal{CatchUp: "24h"}, "2011-08-31", true},
		{"later than the default", "nightly-retail-2011-09-01T03:00:00Z", "2011-09-01T15:00:01Z", Nominal{}, "2011-08-31", true},
		{"started by hand with the same input", "by-hand", "2011-12-10T15:00:00Z", Nominal{}, "2011-12-09", false},
		{"of another pipeline", "nightly-other-2011-09-01T03:00:00Z", "2011-12-10T15:00:00Z", Nominal{}, "2011-12-09", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			env := environment(t, w)
			env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: c.id})
			now, err := time.Parse(time.RFC3339, c.clock)
			if err != nil {
				t.Fatal(err)
			}
			env.SetStartTime(now)
			env.ExecuteWorkflow(NightlyType, NightlyInput{Pipeline: "retail", Reason: "schedule", Schedule: &c.nominal})
			if got := result(t, env); got.Outcome != OutcomePublished {
				t.Fatalf("%+v", got)
			}
			p := progress(t, env)
			if p.Date != c.date || (p.From == c.date && p.To == c.date) != c.again || !c.again && p.From != "" {
				t.Errorf("%+v, want %s, again %v", p, c.date, c.again)
			}
			r := w.Requests()[0]
			if r.Kind != batch.Nightly || r.K != 1 || r.Reason != "schedule, data date "+c.date || (r.From != nil) != c.again {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestDataDateIsKeptOverAFreshHistory: the run that continues does not look at
// the clock again.
func TestDataDateIsKeptOverAFreshHistory(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "nightly-retail-2011-09-01T03:00:00Z"})
	env.SetStartTime(time.Date(2011, 9, 9, 0, 0, 0, 0, time.UTC))
	env.ExecuteWorkflow(NightlyType, NightlyInput{
		Pipeline: "retail", Date: "2011-08-31", Reason: "schedule, data date 2011-08-31", Schedule: &Nominal{CatchUp: "12h"}, Resume: &Resume{RunID: "r", Attempt: 1},
	})
	result(t, env)
	if r := w.Requests()[0]; r.From != nil || r.Reason != "schedule, data date 2011-08-31" {
		t.Errorf("%+v", r)
	}
	if p := progress(t, env); p.Date != "2011-08-31" {
		t.Errorf("%+v", p)
	}
}

func TestScheduledInputThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   NightlyInput
		want string
	}{
		{NightlyInput{Pipeline: "retail", Schedule: &Nominal{Timezone: "Nowhere"}}, `there is no time zone "Nowhere" here`},
		{NightlyInput{Pipeline: "retail", Schedule: &Nominal{CatchUp: "soon"}}, `schedule.catch_up "soon"`},
		{NightlyInput{Pipeline: "retail", Date: "2011-08-31", Schedule: &Nominal{}}, "leave out date or schedule"},
		{NightlyInput{Pipeline: "retail", Date: "31.8.2011"}, `want a day like 2011-03-01`},
		{NightlyInput{Pipeline: "retail", Again: true}, "give date too"},
	} {
		env := environment(t, &world{})
		env.ExecuteWorkflow(NightlyType, c.in)
		if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.in, err, c.want)
		}
	}
}

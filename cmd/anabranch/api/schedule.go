package api

import "time"

// Schedules lists the schedules of all pipelines in force.
type Schedules struct {
	Schedules []Schedule `json:"schedules"`
}

// Schedule says when something of a pipeline runs by itself, and what became of
// the last runs.
type Schedule struct {
	Pipeline       string `json:"pipeline"`
	Starts         string `json:"starts"` // nightly, audit or expire
	State          string `json:"state"`  // active, paused, or none: pipeline.yaml asks for no schedule
	Cron           string `json:"cron,omitempty"`
	Timezone       string `json:"timezone,omitempty"`
	Overlap        string `json:"overlap,omitempty"`
	CatchUp        string `json:"catch_up,omitempty"`
	PauseOnFailure bool   `json:"pause_on_failure,omitempty"`

	Note    string         `json:"note,omitempty"` // who did what to it last, and why
	Next    []time.Time    `json:"next,omitempty"`
	Running []string       `json:"running,omitempty"` // runs
	Recent  []ScheduledRun `json:"recent,omitempty"`  // the newest last
	Missed  int            `json:"missed,omitempty"`  // nights later than the catch-up window
	Skipped int            `json:"skipped,omitempty"` // nights left out because one still ran
	UI      string         `json:"ui,omitempty"`
}

// ScheduledRun is a run that a schedule has started.
type ScheduledRun struct {
	Run      string    `json:"run"`
	DataDate string    `json:"data_date,omitempty"` // of a nightly
	Due      time.Time `json:"due"`                 // the nominal time
	Started  time.Time `json:"started"`
}

// SteerSchedule asks something of a schedule.
type SteerSchedule struct {
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	From   string `json:"from,omitempty"` // backfill: first data date, YYYY-MM-DD
	To     string `json:"to,omitempty"`   // backfill: last data date, included
}

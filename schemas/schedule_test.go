package schemas

import (
	"strings"
	"testing"
	"time"
)

const smallSchedule = `batch: {schedule: "0 3 * * *"}`

func TestScheduleInFull(t *testing.T) {
	t.Parallel()
	files := small()
	files["pipeline.yaml"] = strings.Replace(smallPipeline, smallSchedule,
		`batch: {schedule: {cron: "@daily", timezone: America/New_York, overlap: buffer_one, catch_up: 2d, pause_on_failure: true}}`, 1)
	d, err := ReadDefinition(folder(files))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Schedule{"@daily", "America/New_York", OverlapBufferOne, 48 * time.Hour, true}); d.Schedule != want {
		t.Errorf("got %+v, want %+v", d.Schedule, want)
	}
}

func TestAudits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Audits{
		`"0 5 * * *"`: {Schedule{"0 5 * * *", "UTC", OverlapSkip, 12 * time.Hour, false}, 3},
		`{schedule: {cron: "@daily", timezone: Asia/Tokyo, overlap: allow_all, catch_up: 1h}, days: 30}`: {Schedule{"@daily", "Asia/Tokyo", OverlapAllow, time.Hour, false}, 30},
	} {
		files := small()
		files["pipeline.yaml"] = strings.Replace(smallPipeline, smallSchedule, "batch: {audit: "+text+"}", 1)
		if d, err := ReadDefinition(folder(files)); err != nil || d.Audits != want || d.Schedule.Cron != "" {
			t.Errorf("%s: %+v %v", text, d, err)
		}
	}
	for _, c := range []struct{ audit, want string }{
		{`{days: 3}`, `pipeline.yaml:19:16: the audit has no schedule: add schedule: "0 5 * * *" for every morning at five`},
		{`{schedule: "@daily", days: 0}`, `pipeline.yaml:19:43: days is "0": use a number from 1 to 10000`},
	} {
		files := small()
		files["pipeline.yaml"] = strings.Replace(smallPipeline, smallSchedule, "batch: {audit: "+c.audit+"}", 1)
		checkProblems(t, c.audit, files, c.want)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	files := small()
	files["pipeline.yaml"] = strings.Replace(smallPipeline, smallSchedule, "batch: {retention: {schedule: \"@weekly\", raw: 400d, versions: 100}}", 1)
	d, err := ReadDefinition(folder(files))
	want := Retention{Schedule{"@weekly", "UTC", OverlapSkip, 12 * time.Hour, false}, 400 * 24 * time.Hour, 100, 30 * 24 * time.Hour}
	if err != nil || d.Retention != want {
		t.Errorf("%+v %v", d.Retention, err)
	}
	for _, c := range []struct{ retention, want string }{
		{`{raw: 1h}`, `pipeline.yaml:19:26: raw is 1h0m0s: write a time of at least 1d, like 400d`},
		{`{versions: 3}`, `pipeline.yaml:19:31: versions is "3": use a number from 30 to 1000000`},
		{`{days: 3}`, `pipeline.yaml:19:21: retention has no key "days"`},
	} {
		files["pipeline.yaml"] = strings.Replace(smallPipeline, smallSchedule, "batch: {retention: "+c.retention+"}", 1)
		checkProblems(t, c.retention, files, c.want)
	}
}

func TestScheduleProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schedule, want string }{
		{`"61 * * * *"`, `pipeline.yaml:19:19: the schedule is "61 * * * *": End of range (61) above maximum (59): 61: the fields are minute, hour, day of the month, month and day of the week (0 is Sunday)`},
		{`{cron: "* * *"}`, `pipeline.yaml:19:26: the schedule is "* * *": write five fields of cron, like "0 3 * * *" for every night at three, or @daily`},
		{`{timezone: UTC}`, `pipeline.yaml:19:19: the schedule has no cron: add cron: "0 3 * * *" for every night at three`},
		{`{cron: "@daily", timezone: Europe/Belin}`, `pipeline.yaml:19:46: there is no time zone "Europe/Belin": write a name like Europe/Berlin, or UTC`},
		{`{cron: "@daily", timezone: Local}`, `pipeline.yaml:19:46: there is no time zone "Local": write a name like Europe/Berlin, or UTC`},
		{`{cron: "@daily", overlap: skp}`, `pipeline.yaml:19:45: overlap is "skp": did you mean "skip"?`},
		{`{cron: "@daily", catch_up: 1s}`, `pipeline.yaml:19:46: catch_up is 1s: write a time of at least 10s, like 12h`},
		{`{cron: "@daily", pause_on_failure: maybe}`, `pipeline.yaml:19:54: pause_on_failure is neither true nor false`},
		{`{cron: "@daily", retries: 3}`, `pipeline.yaml:19:36: the schedule has no key "retries"`},
	} {
		files := small()
		files["pipeline.yaml"] = strings.Replace(smallPipeline, `"0 3 * * *"`, c.schedule, 1)
		checkProblems(t, c.schedule, files, c.want)
	}
}

func TestDataDateIsTheDayThatHadEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, nominal, want string }{
		{"UTC", "2011-09-01T03:00:00Z", "2011-08-31"},
		{"UTC", "2011-09-01T00:00:00Z", "2011-08-31"},
		{"UTC", "2011-08-31T23:59:59Z", "2011-08-30"},
		{"America/New_York", "2011-09-01T03:00:00Z", "2011-08-30"}, // there it is 23:00 of the 31st
		{"Asia/Tokyo", "2011-08-31T18:00:00Z", "2011-08-31"},       // there it is 03:00 of the 1st
		{"Europe/Berlin", "2011-03-27T01:30:00Z", "2011-03-26"},    // the night without an hour
		{"UTC", "2012-03-01T03:00:00Z", "2012-02-29"},
		{"UTC", "2011-01-01T03:00:00Z", "2010-12-31"},
	} {
		nominal, err := time.Parse(time.RFC3339, c.nominal)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := (Schedule{Timezone: c.zone}).DataDate(nominal); err != nil || got != c.want {
			t.Errorf("%s in %s: %s %v, want %s", c.nominal, c.zone, got, err, c.want)
		}
	}
	if _, err := (Schedule{Timezone: "Nowhere"}).DataDate(time.Time{}); err == nil {
		t.Error("a time zone that is none")
	}
}

// TestDueOnIsTheInverseOfDataDate: an instant is in the span of a day exactly
// when the day is its data date, around the shifts of clocks: one at midnight,
// and one of a whole day.
func TestDueOnIsTheInverseOfDataDate(t *testing.T) {
	t.Parallel()
	for zone, begin := range map[string]string{
		"UTC": "2011-02-25", "Europe/Berlin": "2011-03-22", "America/New_York": "2011-11-01", "Australia/Lord_Howe": "2011-03-29",
		"America/Sao_Paulo": "2011-10-11", "Pacific/Apia": "2011-12-25", "Asia/Kolkata": "2011-12-28",
	} {
		s := Schedule{Timezone: zone}
		at, _ := time.Parse(time.DateOnly, begin)
		for range 10 * 24 * 2 {
			at = at.Add(30 * time.Minute)
			date, err := s.DataDate(at)
			if err != nil {
				t.Fatal(err)
			}
			day, _ := time.Parse(time.DateOnly, date)
			from, to, err := s.DueOn(day, day)
			if err != nil || at.Before(from) || !at.Before(to) {
				t.Fatalf("%s in %s: data date %s is due from %s to %s", at, zone, date, from, to)
			}
		}
	}
}

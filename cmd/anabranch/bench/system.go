package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"anabranch/fault"
)

// How long the parts of a round of the system suite take, and with how many
// events a request has.
const (
	warmSeconds   = 3
	fullSeconds   = 12
	settleSeconds = 2 // in which the archive catches up with what the full load has left; what a spike leaves is a row of its own
	halfSeconds   = 12
	calmSeconds   = 5
	spikeSeconds  = 10
	spikeTimes    = 10 // as many events as before
	bigRequest    = 25 // units
	smallRequest  = 5
	bigSenders    = 8  // that keep the program busy
	smallSenders  = 64 // so many that no request waits for one to be free
	probeEvery    = 50 * time.Millisecond
	backWithin    = 20 // seconds that are waited for p99 behind a spike
)

// systemRows are the rows of the system suite and how they are judged; a round
// gives a value for each.
func systemRows() []Row {
	return []Row{
		{Name: "ingest", What: "HTTP NDJSON to durable, acknowledged and folded with dedupe, HLL and quantile; the load generator beside it", Unit: "events/s", Floor: 300_000, Goal: 1_000_000},
		{Name: "ingest-cpu", What: "the same per second of the program's processor time", Unit: "events", Floor: 250_000, Goal: 500_000},
		{Name: "freshness-p50", What: "acknowledged until a lookup has it, at half of that load, p50", Unit: "ms", Floor: 20, Goal: 5, Less: true},
		{Name: "freshness-p99", What: "the same, p99", Unit: "ms", Floor: 100, Goal: 25, Less: true},
		{Name: "ack-p99", What: "acknowledgement of 1,000 events at half of that load, p99, from when it should have been sent", Unit: "ms", Floor: 50, Goal: 20, Less: true},
		{Name: "spike", What: "ten times a steady load for 10 s: seconds until p99 of a second is at most 1.5 times what it was before", Unit: "s", Floor: 10, Goal: 3, Less: true},
		{Name: "restart", What: "killed until exact answers, per GB of log and snapshots", Unit: "s/GB", Floor: 10, Goal: 3, Less: true},
	}
}

// runSystem measures the whole program, in each round one that begins empty.
func runSystem(ctx context.Context, o *Options) ([]Row, error) {
	rows := systemRows()
	if len(o.Only) > 0 {
		rows = slices.DeleteFunc(rows, func(r Row) bool { return !o.wants(r.Name) })
	}
	t := Task{Job: "load", Dir: o.Dir, Data: Data{Kind: "payments", Seed: o.Seed, Events: o.Events}}
	if _, err := bodyFile(&t); err != nil {
		return nil, err
	}
	values := map[string][]float64{}
	figures := map[string]map[string]float64{}
	for n := range o.Rounds {
		s := &systemRound{values: values, figures: figures}
		if err := s.run(ctx, o, t); err != nil {
			return nil, fmt.Errorf("round %d: %w", n+1, err)
		}
		o.Say("system round %d of %d: %.0f events/s", n+1, o.Rounds, values["ingest"][n])
	}
	for i := range rows {
		r := &rows[i]
		r.Rounds, r.Data = o.Rounds, fmt.Sprintf("payments of seed %d", o.Seed)
		r.Ours = spreadOf(values[r.Name])
		r.Value, r.Answers, r.Figures = r.Ours, "every different event counted once", figures[r.Name]
	}
	return rows, nil
}

// systemRound is one program from its first start to its kill.
type systemRound struct {
	program *program
	load    *process
	values  map[string][]float64 // of all rounds, by row
	figures map[string]map[string]float64
	counted int64
}

func (s *systemRound) note(row string, value float64, figures map[string]float64) {
	s.values[row] = append(s.values[row], value)
	for name := range figures {
		figures[name] = rounded(figures[name])
	}
	s.figures[row] = figures
}

func (s *systemRound) run(ctx context.Context, o *Options, t Task) error {
	dir, err := os.MkdirTemp(o.Dir, "system-")
	if err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	defer os.RemoveAll(dir)
	if s.program, err = startProgram(ctx, o.Self[0], filepath.Join(dir, "state")); err != nil {
		return err
	}
	defer func() { s.program.kill() }()
	if err := s.program.apply(ctx); err != nil {
		return err
	}
	if s.load, err = startTask(ctx, o.Self, t); err != nil {
		return err
	}
	defer s.load.stop()
	if _, err := s.send(warmSeconds, 0, bigRequest); err != nil {
		return err
	}
	full, err := s.full(ctx)
	if err != nil {
		return err
	}
	for _, part := range []func() error{
		func() error { return s.half(ctx, full/2) },
		func() error { return s.spike(ctx, full/spikeTimes) },
		func() error { return s.restart(ctx) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// send has the generator send for some seconds, all of which is acknowledged
// afterwards.
func (s *systemRound) send(seconds, rate float64, units int) (took, error) {
	senders := bigSenders
	if units == smallRequest {
		senders = smallSenders
	}
	text, err := json.Marshal(loadOrder{URL: s.program.at.HTTP + systemEvents, Seconds: seconds, Connections: senders, Rate: rate, Units: units})
	if err != nil {
		return took{}, fault.Wrap(fault.Bug, err)
	}
	t, err := s.load.ask("do " + string(text))
	s.counted = int64(t.Figures["distinct"])
	return t, err
}

// full measures how many events a second the program takes and folds at most.
func (s *systemRound) full(ctx context.Context) (rate float64, err error) {
	if err := s.program.awaitCounted(ctx, s.counted); err != nil {
		return 0, err
	}
	before, err := s.program.cpu()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	t, err := s.send(fullSeconds, 0, bigRequest)
	if err != nil {
		return 0, err
	}
	if err := s.program.awaitCounted(ctx, s.counted); err != nil {
		return 0, err
	}
	wall := time.Since(began).Seconds()
	after, err := s.program.cpu()
	if err != nil {
		return 0, err
	}
	rate = float64(t.Events) / wall
	s.note("ingest", rate, map[string]float64{"cores of the generator": t.CPU / t.Wall, "cores of the program": (after - before) / wall, "refused with 429": t.Figures["refused"]})
	s.note("ingest-cpu", float64(t.Events)/(after-before), nil)
	return rate, nil
}

// half measures acknowledgements and freshness at a rate that the program can
// do.
func (s *systemRound) half(ctx context.Context, rate float64) error {
	type sent struct {
		took
		err error
	}
	if _, err := s.send(settleSeconds, rate, smallRequest); err != nil {
		return err
	}
	done := make(chan sent, 1)
	go func() {
		t, err := s.send(halfSeconds, rate, smallRequest)
		done <- sent{t, err}
	}()
	var seen []time.Duration
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case t := <-done:
			if t.err != nil {
				return t.err
			}
			slices.Sort(seen)
			s.note("freshness-p50", quantileMillis(seen, 0.5), nil)
			s.note("freshness-p99", quantileMillis(seen, 0.99), map[string]float64{"probes": float64(len(seen))})
			s.note("ack-p99", t.Figures["p99"], map[string]float64{"p50 ms": t.Figures["p50"], "events/s": float64(t.Events) / t.Wall})
			return s.program.awaitCounted(ctx, s.counted)
		}
		d, err := s.program.probe(ctx, n)
		if err != nil {
			<-done
			return err
		}
		seen = append(seen, d)
	}
}

// spike measures how soon a steady load is served as before behind one that was
// ten times as much.
func (s *systemRound) spike(ctx context.Context, rate float64) error {
	calm, err := s.send(calmSeconds, rate, smallRequest)
	if err != nil {
		return err
	}
	wild, err := s.send(spikeSeconds, rate*spikeTimes, bigRequest)
	if err != nil {
		return err
	}
	began := time.Now()
	back := 0.0
	for back < backWithin {
		t, err := s.send(1, rate, smallRequest)
		if err != nil {
			return err
		}
		if t.Figures["p99"] <= 1.5*calm.Figures["p99"] {
			break
		}
		back = time.Since(began).Seconds()
	}
	s.note("spike", back, map[string]float64{"p99 ms before": calm.Figures["p99"], "p99 ms in the spike": wild.Figures["p99"], "refused with 429": wild.Figures["refused"]})
	return s.program.awaitCounted(ctx, s.counted)
}

// restart measures how soon a program that was killed answers exactly again.
func (s *systemRound) restart(ctx context.Context) error {
	s.program.kill()
	size, err := s.program.stateBytes()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.program.start(ctx); err != nil {
		return err
	}
	if err := s.program.awaitCounted(ctx, s.counted); err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	s.note("restart", seconds/(float64(size)/1e9), map[string]float64{"seconds": seconds, "MB": float64(size) / 1e6})
	return nil
}

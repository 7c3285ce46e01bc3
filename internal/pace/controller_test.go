package pace

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var seed = flag.Uint64("pace-seed", 1, "of the simulations")

// plant is a speed layer beside which batches work: what it takes for an
// event grows with the share that they have.
type plant struct {
	rng     *rand.Rand
	rate    float64                     // events a second
	normal  time.Duration               // median of a delay without batches
	harm    func(share float64) float64 // how many times longer it takes
	stalls  float64                     // events of which so many take ten times as long, batches or not
	delays  Hist                        // of the time that is measured
	without Hist                        // what they had been without batches
}

func (p *plant) step(share float64) Load {
	h := &Hist{}
	n := p.rate * tick.Seconds()
	for range int(n) + map[bool]int{true: 1}[p.rng.Float64() < n-math.Floor(n)] {
		alone := float64(p.normal) * math.Exp(0.25*p.rng.NormFloat64())
		if p.rng.Float64() < p.stalls {
			alone *= 10
		}
		h.Add(time.Duration(alone * p.harm(share)))
		p.without.Add(time.Duration(alone))
		p.delays.Add(time.Duration(alone * p.harm(share)))
	}
	return Load{Delays: map[string]*Hist{"visible": h}}
}

const tick = 100 * time.Millisecond

// play runs the loop for some time and returns the mean share.
func play(c *Controller, p *plant, now *time.Time, d time.Duration, busy bool) (mean float64) {
	p.delays, p.without = Hist{}, Hist{}
	steps := int(d / tick)
	share := c.share
	for range steps {
		*now = now.Add(tick)
		at := share
		if !busy {
			at = 0
		}
		share = c.Step(*now, busy, p.step(at))
		mean += share / float64(steps)
	}
	return mean
}

func (p *plant) ratio() float64 {
	return float64(p.delays.Quantile(0.99)) / float64(p.without.Quantile(0.99))
}

// TestTheGoalIsHeldAndNothingStarves: whatever batches do to the delay of
// events, its 99th percentile is at most half as long again; and batches have
// about as much as that leaves, and never less than their minimum.
func TestTheGoalIsHeldAndNothingStarves(t *testing.T) {
	t.Logf("seed %d", *seed)
	for name, harm := range map[string]struct {
		of    func(share float64) float64
		right float64 // share at which the delay is 1.3 times as long
	}{
		"none":              {func(float64) float64 { return 1 }, 1},
		"a little":          {func(s float64) float64 { return 1 + 0.2*s }, 1},
		"linear":            {func(s float64) float64 { return 1 + 2*s }, 0.15},
		"a cliff":           {func(s float64) float64 { return 1 + 4*max(0, s-0.5) }, 0.57},
		"of a single piece": {func(s float64) float64 { return 1 + 10*s }, 0.03}, // worse than the minimum allows
	} {
		for _, rate := range []float64{50, 400, 3000} {
			p := &plant{rng: rand.New(rand.NewPCG(*seed, uint64(rate))), rate: rate, normal: 8 * time.Millisecond, harm: harm.of, stalls: 0.001}
			c, now := NewController(Goal{}), time.Unix(0, 0)
			play(c, p, &now, 20*time.Second, false)
			play(c, p, &now, 30*time.Second, true) // finds it
			mean := play(c, p, &now, 5*time.Minute, true)
			t.Logf("%s, %.0f events/s: %.2f times as long, share %.2f", name, rate, p.ratio(), mean)
			if r := p.ratio(); harm.right >= 0.1 && r > 1.5 {
				t.Errorf("%s, %.0f events/s: delays are %.2f times as long", name, rate, r)
			}
			if least := max(0.1, harm.right*0.6); mean < least*0.95 {
				t.Errorf("%s, %.0f events/s: batches have a share of %.3f, there was room for %.2f", name, rate, mean, harm.right)
			}
		}
	}
}

// TestFullSpeedAtRest: when there are no events any more, batches soon have
// everything; when they come back, not for long.
func TestFullSpeedAtRest(t *testing.T) {
	p := &plant{rng: rand.New(rand.NewPCG(*seed, 2)), rate: 300, normal: 8 * time.Millisecond, harm: func(s float64) float64 { return 1 + 3*s }}
	c, now := NewController(Goal{}), time.Unix(0, 0)
	play(c, p, &now, time.Minute, true)
	if c.share > 0.5 {
		t.Fatalf("a share of %.2f among events", c.share)
	}
	p.rate = 0
	play(c, p, &now, 15*time.Second, true)
	if c.share != 1 {
		t.Fatalf("a share of %.2f, 15 s after the last event", c.share)
	}
	p.rate = 300
	play(c, p, &now, 2*time.Second, true)
	if c.share > 0.5 {
		t.Fatalf("a share of %.2f, 2 s after events came back", c.share)
	}
}

// TestWhatIsNormalIsLearnedAgain: events that take three times as long by
// themselves do not hold batches down for ever.
func TestWhatIsNormalIsLearnedAgain(t *testing.T) {
	p := &plant{rng: rand.New(rand.NewPCG(*seed, 3)), rate: 300, normal: 8 * time.Millisecond, harm: func(s float64) float64 { return 1 + 0.3*s }}
	c, now := NewController(Goal{}), time.Unix(0, 0)
	play(c, p, &now, time.Minute, true)
	p.normal *= 3
	play(c, p, &now, 30*time.Second, true)
	if c.share > 0.2 {
		t.Fatalf("a share of %.2f where all delays are too long", c.share)
	}
	play(c, p, &now, 3*lookEvery, true)
	if mean := play(c, p, &now, time.Minute, true); mean < 0.7 {
		t.Fatalf("a share of %.2f after what is normal was learned again", mean)
	}
}

// TestLagSlows: a speed layer that stands still tells of no delays, but of its
// lag.
func TestLagSlows(t *testing.T) {
	p := &plant{rng: rand.New(rand.NewPCG(*seed, 4)), rate: 300, normal: 8 * time.Millisecond, harm: func(float64) float64 { return 1 }}
	c, now := NewController(Goal{}), time.Unix(0, 0)
	play(c, p, &now, time.Minute, true)
	for range 20 {
		now = now.Add(tick)
		c.Step(now, true, Load{Lag: time.Second})
	}
	if c.share > 0.2 {
		t.Fatalf("a share of %.2f while speed stands still", c.share)
	}
}

func TestOff(t *testing.T) {
	c := NewController(Goal{Least: 1})
	for i := range 100 {
		if s := c.Step(time.Unix(int64(i), 0), true, Load{Lag: time.Hour}); s != 1 {
			t.Fatal(s)
		}
	}
}

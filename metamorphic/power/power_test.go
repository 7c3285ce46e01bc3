package power

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/internal/disk/faultdisk"
	"anabranch/internal/soak"
)

var (
	cuts = flag.Int("cuts", 120, "power cuts under everything")
	seed = flag.Uint64("seed", 0, "seed of the first history; 0 takes another each time")
)

// history is a random history on one disk.
type history struct {
	*world
	run     *soak.Run
	next    int // number of the next event
	cuts    int
	trimmed bool // the log has forgotten something
	why     []string
}

func (h *history) say(format string, args ...any) {
	h.why = append(h.why, fmt.Sprintf(format, args...))
}

// sales are new events, copies of old ones, and old ids with other content.
func (h *history) sales() (out []sale) {
	for range 1 + h.rnd.IntN(25) {
		n := h.next
		if n == 0 || h.rnd.IntN(4) > 0 {
			h.next++
		} else {
			n = h.rnd.IntN(n)
		}
		s := sale{shop: fmt.Sprintf("shop %d", n%7), id: fmt.Sprintf("sale %d", n), amount: int64(n % 50), at: int64(n%40) * dayMicros / 3}
		switch h.rnd.IntN(30) {
		case 0:
			s.amount += 1000 // conflicts, if it is not the first
		case 1:
			s = sale{shop: "shop x", id: fmt.Sprintf("negative %d", n), amount: -1}
		}
		out = append(out, s)
	}
	return out
}

// step is one action, which is done again after each power cut until it is
// acknowledged.
func (h *history) step() error {
	var do func() error
	switch n := h.rnd.IntN(20); {
	case n < 9:
		request, sales, bad := fmt.Sprintf("request-%d", serial.Add(1)), h.sales(), h.rnd.IntN(5)/4
		h.say("%s: %d sales, %d bad", request, len(sales), bad)
		do = func() error { return h.send(request, sales, bad) }
	case n < 13:
		kind, id := batch.Nightly, fmt.Sprintf("run-%d", serial.Add(1))
		if h.published > 0 && n == 12 {
			kind = batch.Backfill
		}
		fresh := h.rnd.IntN(2) == 0 // the run that died is not taken up again
		do = func() error {
			if fresh {
				id = fmt.Sprintf("run-%d", serial.Add(1))
			}
			h.say("%s %s", kind, id)
			return h.batch(kind, id)
		}
	case n < 15:
		h.say("snapshot")
		do = func() error { return h.speed.Snapshot(h.alive) }
	case n < 17:
		h.say("trim")
		do = func() error {
			trimmed, err := h.trim()
			h.trimmed = h.trimmed || trimmed
			return err
		}
	case n < 18:
		h.say("kill -9")
		h.run.Sometimes("a process killed before the power goes")
		killed := h.disk.Kill()
		h.halt()
		h.disk = killed
		return h.up(h.boot())
	default:
		h.say("query")
		do = h.query
	}
	for {
		err := do()
		if !h.off() {
			return err
		}
		if err := h.reboot(); err != nil {
			return err
		}
	}
}

func (h *history) query() error {
	events, err := h.check(h.alive)
	if err == nil {
		h.run.Add(soak.Events, events)
	}
	return err
}

// up deals with the outcome of a boot: the power may have gone during it.
func (h *history) up(err error) error {
	for err != nil && h.off() {
		h.cut()
		err = h.boot()
	}
	return err
}

// reboot lets the power come back after it went.
func (h *history) reboot() error {
	h.cut()
	return h.up(h.boot())
}

// cut ends the boot without power. Often the power goes again, soon or late.
func (h *history) cut() {
	h.halt()
	h.cuts++
	h.run.Add("cuts", 1)
	var losses []faultdisk.Loss
	h.disk, losses = h.disk.Cut()
	h.say("power cut")
	for _, l := range losses {
		if !strings.Contains(l.Path, "/temp/") { // of the caches
			h.say("  lost: %s %s", l.What, l.Path)
		}
		snapshot := strings.Contains(l.Path, "/speed/")
		switch {
		case l.What == faultdisk.Torn && snapshot:
			h.run.Sometimes("a torn snapshot")
		case l.What == faultdisk.Torn && strings.Contains(l.Path, "/@temp/"):
			h.run.Sometimes("a torn object in the bucket's temp")
		case l.What == faultdisk.Torn:
			h.run.Sometimes("a torn copy in the cache")
		case l.What == faultdisk.Undone && snapshot:
			h.run.Sometimes("the rename of a snapshot undone")
		}
	}
	if h.trimmed {
		h.run.Sometimes("a power cut after the log was trimmed")
	}
	h.arm()
}

func (h *history) arm() {
	if h.cuts >= 8 {
		return
	}
	soon := int(math.Exp(h.rnd.Float64() * math.Log(3000)))
	switch h.rnd.IntN(9) {
	case 0: // not at all
	case 1, 2, 3: // at any call
		h.disk.PowerOff(soon)
	case 4, 5: // while something is made to stay
		h.disk.PowerOffWhen(soon/8, func(c faultdisk.Call) bool {
			return c.Op == faultdisk.Sync || c.Op == faultdisk.SyncDir || c.Op == faultdisk.Rename || c.Op == faultdisk.Link
		})
	case 6: // in a snapshot
		h.disk.PowerOffWhen(h.rnd.IntN(12), func(c faultdisk.Call) bool {
			return strings.Contains(c.Path, "/speed/") && c.Op != faultdisk.Read && c.Op != faultdisk.Open
		})
	case 7: // in an object on its way
		h.disk.PowerOffWhen(soon/20, func(c faultdisk.Call) bool {
			return strings.Contains(c.Path, "/@temp/") && (c.Op == faultdisk.Write || c.Op == faultdisk.SetMark || c.Op == faultdisk.Sync)
		})
	default: // around what everything hangs on
		h.disk.PowerOffWhen(h.rnd.IntN(12), func(c faultdisk.Call) bool {
			return (strings.Contains(c.Path, "/manifests") || strings.Contains(c.Path, "/segments")) && c.Op != faultdisk.Read && c.Op != faultdisk.Open
		})
	}
}

// play is a whole history: 40 steps, and the truth at the end.
func (h *history) play() error {
	h.arm()
	if err := h.up(h.boot()); err != nil {
		return err
	}
	defer func() { h.halt() }()
	for range 40 {
		if err := h.step(); err != nil {
			return err
		}
	}
	if !h.off() { // one more, between two calls
		if err := h.reboot(); err != nil {
			return err
		}
	}
	for _, do := range []func() error{
		func() error { return h.batch(batch.Nightly, fmt.Sprintf("run-%d", serial.Add(1))) },
		h.query,
		func() error { return h.whole(h.alive) },
	} {
		for {
			err := do()
			if !h.off() {
				if err != nil {
					return err
				}
				break
			}
			if err := h.reboot(); err != nil {
				return err
			}
		}
	}
	for _, rows := range h.rows {
		for _, r := range rows {
			delete(h.acked, r.key())
		}
	}
	if n := len(h.acked); n > 0 {
		return &wrong{what: fmt.Sprintf("%d acknowledged events never came into the log", n), lost: int64(n)}
	}
	return nil
}

func TestPowerCuts(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	run := soak.Open(t, "powercut", first)
	run.Add(soak.Lost, 0)
	run.Add(soak.Double, 0)
	for s, done := first, 0; done < *cuts; s++ {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		w, err := newWorld(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		h := &history{world: w, run: run}
		err = h.play()
		cancel()
		done += h.cuts
		if err != nil {
			var e *wrong
			if errors.As(err, &e) {
				run.Add(soak.Lost, e.lost)
				run.Add(soak.Double, e.double)
			}
			t.Fatalf("seed %d: %v\nafter\n%s\nagain: go test ./metamorphic/power -run PowerCuts -args -cuts 1 -seed %d", s, err, strings.Join(h.why, "\n"), s)
		}
	}
}

package speed

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func errIs(err, target error) bool { return errors.Is(err, target) }

var (
	histories = flag.Int("histories", 200, "random histories of the seam to play")
	firstSeed = flag.Uint64("seed", 1, "seed of the first history")
)

// TestHistories plays random histories of the seam: retried frames, repeated
// barriers, conflicting copies, snapshots, crashes, damaged snapshots, racing
// and dying batches, backfills, trims and readers that hold older manifests.
// Every merged answer must equal a fold of the log in order.
func TestHistories(t *testing.T) {
	t.Parallel()
	fixed(t)
	var asked, answered, restarts, manifests, parts int
	for i := range *histories {
		seed := *firstSeed + uint64(i)
		ok := t.Run("", func(t *testing.T) {
			w := play(t, seed)
			asked, answered, restarts, manifests = asked+w.asked, answered+w.answered, restarts+w.restarts, manifests+len(w.versions)-1
			parts += w.parts
		})
		if !ok {
			t.Fatalf("history %d differs: go test ./speed -run TestHistories -histories 1 -seed %d", seed, seed)
		}
	}
	t.Logf("seeds %d to %d: %d manifests, %d crashes, %d of %d queries answered, every merged answer equal, %d of them kept up with by what changed",
		*firstSeed, *firstSeed+uint64(*histories)-1, manifests, restarts, answered, asked, parts)
	if parts*20 < answered {
		t.Fatalf("only %d of %d answers were of what changed", parts, answered)
	}
	if answered*2 < asked {
		t.Fatalf("only %d of %d queries were answered: the histories prove too little", answered, asked)
	}
}

func play(t *testing.T, seed uint64) *world {
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, r, 1+r.IntN(3))
	grace := time.Duration(-1)
	if r.IntN(2) == 0 {
		grace = time.Minute
	}
	every := 5 + r.IntN(40)
	w.options = func(o *Options) {
		o.Grace, o.SnapshotRecords = grace, every
		switch seed % 5 { // most in memory: a disk's syncs take their time
		case 0:
		case 1:
			o.Bucket = w.bucket
		default:
			o.Dir, o.Bucket = "", w.bucket
		}
	}
	w.start()
	defer func() {
		if w.started {
			w.kill()
		}
	}()
	for range 60 + r.IntN(120) {
		w.step(true)
	}
	for p := range w.entries {
		w.run(p, len(w.entries[p]))
	}
	// At rest the newest manifest can be answered, before and after it is
	// adopted, and after a restart.
	for range 2 {
		if !w.check(w.newest()) {
			t.Fatal("no answer at rest")
		}
		w.speed.Notice(w.newest().m)
		w.settle()
	}
	w.speed.Stop()
	w.start()
	for p := range w.entries {
		w.run(p, len(w.entries[p]))
	}
	if !w.check(w.newest()) {
		t.Fatal("no answer at rest after a restart")
	}
	return w
}

func (w *world) interlude() {
	if w.alone {
		return
	}
	w.depth++ // batches race: one may run inside the pause of another
	for range w.r.IntN(5) {
		w.step(w.depth < 3)
	}
	w.depth--
}

func (w *world) step(batch bool) {
	p := w.r.IntN(len(w.entries))
	switch x := w.r.IntN(1000); {
	case x < 300:
		w.send()
	case x < 600:
		w.run(p, 1+w.r.IntN(4))
	case x < 660:
		w.no(w.speed.part[p].ask(w.t.Context(), snapshotNow))
	case x < 690:
		w.crash()
	case x < 740:
		w.speed.Notice(w.newest().m)
		w.settle()
	case x < 760:
		w.clock.Advance(40 * time.Second)
	case x < 800:
		w.trim(p)
	case x < 910:
		w.check(w.newest())
		w.check(w.versions[len(w.versions)-1-w.r.IntN(min(3, len(w.versions)))])
	case x < 920 && w.k > 0: // a very late retry of a barrier, also where its batch died
		k := 1 + w.r.Uint64N(w.k)
		w.append(p, barrierFrame(w.t, k), entry{k: k})
	case batch && x < 955:
		w.nightly(.15)
	case batch && x < 970:
		w.backfill()
	case batch && x < 990 && w.newest().m.K < w.k: // a batch that died is taken up again
		w.finish(w.newest().m.K+1+w.r.Uint64N(w.k-w.newest().m.K), .1)
	}
}

// crash kills speed and starts it again, at times with its newest snapshots
// damaged or all of them lost.
func (w *world) crash() {
	w.kill()
	for p := range w.entries {
		dir := w.speed.part[p].shelf.dir
		switch x := w.r.IntN(12); {
		case dir == "":
		case x == 0:
			w.no(os.RemoveAll(dir))
		case x == 1:
			damageNewest(w.t, dir, w.r)
		}
	}
	w.start()
	w.restarts++
}

// damageNewest flips a bit of the newest snapshot file in dir.
func damageNewest(t testing.TB, dir string, r *rand.Rand) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+snapshotSuffix))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		return
	}
	name := files[len(files)-1]
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[r.IntN(len(data))] ^= 1 << r.IntN(8)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// trim forgets log that is below every snapshot and below the newest cut.
func (w *world) trim(p int) {
	below := min(w.speed.SafeTrim()[p], lowest(w.newest().m.Cut, p))
	if below > 0 {
		w.no(w.log.Trim(w.t.Context(), p, below))
	}
}

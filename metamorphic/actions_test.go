package metamorphic

import (
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/view"
)

// do takes one action.
func (w *world) do(a Action) error {
	switch a.Do {
	case "send":
		return w.sendNext(1)
	case "together":
		return w.sendNext(a.N)
	case "nightly", "backfill", "compact":
		return w.batch(a)
	case "race":
		return w.race(a)
	case "wake":
		return w.wake()
	case "during":
		return w.during()
	case "abandon": // a batch that dies when its barriers are in the log
		k, err := w.runner.NextBarrier(w.ctx)
		if err != nil {
			return err
		}
		if err := w.runner.AppendBarriers(w.ctx, k); err != nil {
			return err
		}
		return w.follow(false)
	case "twice": // a run that was published, or died, comes back
		return w.again()
	case "crash":
		return w.crash()
	case "restart":
		w.speed.Stop()
		return w.startSpeed()
	case "snapshot":
		return w.speed.Snapshot(w.ctx)
	case "sealer":
		w.sealer.Stop()
		return w.startSealer()
	case "full": // some partitions take nothing more
		w.lossy.full.Store(min(w.lossy.full.Load(), int64(a.N)))
	case "room":
		return w.room()
	case "hold":
		head, err := w.head(w.ctx)
		w.log.let(head)
		w.held = true
		return err
	case "flow":
		w.log.let(nil)
		w.held = false
	case "trim":
		return w.trim()
	case "query":
		return w.check()
	case "older":
		return w.older()
	default:
		return fmt.Errorf("no action %q", a.Do)
	}
	return nil
}

// settle brings a history to its end: everything sent, nothing in the way,
// every view built.
func (w *world) settle() error {
	for _, do := range []string{"room", "wake"} {
		if err := w.do(Action{Do: do}); err != nil {
			return fmt.Errorf("at the end (%s): %w", do, err)
		}
	}
	for w.sent < len(w.Sends) {
		if err := w.sendNext(1); err != nil {
			return err
		}
	}
	if err := w.do(Action{Do: "flow"}); err != nil {
		return err
	}
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	if !w.upToDate(m) {
		if err := w.do(Action{Do: "nightly"}); err != nil {
			return fmt.Errorf("at the end (nightly): %w", err)
		}
	}
	if err := w.do(Action{Do: "query"}); err != nil {
		return fmt.Errorf("at the end (query): %w", err)
	}
	return nil
}

// answering returns the version of a view that answers under a manifest: the
// one before, while a changed view waits for its batch; nil when none does.
func (w *world) answering(m *archive.Manifest, name string) *view.View {
	if m.K == 0 {
		return w.source.View(name)
	}
	_, files := m.Answers(name)
	if files == nil {
		return nil
	}
	for _, v := range slices.Concat(w.views, w.kept) {
		if archive.ViewOf(v.Name()) == name && v.Version() == files.Version {
			return v
		}
	}
	return nil
}

// built names the views that answer at a manifest.
func (w *world) built(m *archive.Manifest) (names []string) {
	for _, v := range w.views {
		if w.answering(m, v.Name()) != nil {
			names = append(names, v.Name())
		}
	}
	return names
}

// upToDate reports whether every view answers as it is declared.
func (w *world) upToDate(m *archive.Manifest) bool {
	for _, v := range w.views {
		if w.answering(m, v.Name()) != v {
			return false
		}
	}
	return true
}

// trim lets the log forget what is in segments and in snapshots.
func (w *world) trim() error {
	if err := w.follow(false); err != nil { // before it is gone
		return err
	}
	sealed, safe := w.sealer.Sealed(), w.speed.SafeTrim()
	for p := range w.rows {
		if p >= len(safe) || p >= len(sealed) {
			continue
		}
		chain, err := w.archive.Segments(w.ctx, p, 0)
		if err != nil {
			return err
		}
		below := uint64(0)
		for _, s := range chain {
			if s.To <= min(sealed[p], safe[p]) {
				below = s.To
			}
		}
		if err := w.log.Trim(w.ctx, p, below); err != nil {
			return err
		}
	}
	return nil
}

// during reads a snapshot that was taken before a batch published: it still
// shows its own cut.
func (w *world) during() error {
	if w.held {
		return nil
	}
	s, err := w.take()
	if err != nil {
		return err
	}
	if s == nil {
		return nil
	}
	defer s.Close()
	before, err := w.archive.Newest(w.ctx)
	if err != nil {
		return err
	}
	if err := w.batch(Action{Do: "nightly"}); err != nil {
		return err
	}
	if m, err := w.archive.Newest(w.ctx); err != nil || m.Version == before.Version {
		return err
	}
	if err := w.compareAll(s); err != nil {
		return fmt.Errorf("while a version was swapped: %w", err)
	}
	w.saw("a version swapped during a query")
	return nil
}

// isFull reports that some partitions take nothing.
func (w *world) isFull() bool { return w.lossy.full.Load() < int64(w.set.Partitions) }

package serving_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/view"
)

// fallen is a speed that was far enough when it was waited for, and came back
// from a snapshot since. It catches up after some questions.
type fallen struct {
	serving.Speed
	behind int // questions that it answers from behind
}

func (f *fallen) Wait(context.Context, event.Cut) error { return nil }

func (f *fallen) Since(_ context.Context, k uint64, _ []string) (*view.Delta, error) {
	d := &view.Delta{Since: k, At: event.Cut{5, 9}}
	if f.behind--; f.behind >= 0 {
		d.At = event.Cut{5, 3}
	}
	return d, nil
}

// TestAnAnswerCoversWhatWasWaitedFor although speed falls back between the
// wait and the answer.
func TestAnAnswerCoversWhatWasWaitedFor(t *testing.T) {
	t.Parallel()
	schema, err := schemas.Parse(1, []byte(`{"type":"record","name":"E","fields":[{"name":"id","type":"string"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	a := archive.Open(bucket.NewMemory(), "shop", schemas.NewSet(schema), archive.Options{Partitions: 2})
	head := func(context.Context) (event.Cut, error) { return event.Cut{5, 9}, nil }
	for name, fresh := range map[string]serving.Fresh{
		"latest": {Latest: true}, "receipt": {AtLeast: map[string]event.Cut{"shop": {0, 9}}}, "both": {Latest: true, AtLeast: map[string]event.Cut{"shop": {1}}},
	} {
		src := &serving.Source{Name: "shop", Speed: &fallen{behind: 3}, Batch: a, Head: head}
		s := serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{src} }})
		pin, err := s.Pin(t.Context(), src, nil, fresh)
		if err != nil || pin.Delta.At[1] != 9 {
			t.Errorf("%s: %+v, %v", name, pin, err)
		}
		src.Speed = &fallen{behind: 1 << 30}
		s = serving.New(serving.Options{Sources: s.Sources, Patience: 20 * time.Millisecond})
		if _, err := s.Pin(t.Context(), src, nil, fresh); !fault.Is(err, fault.Transient) {
			t.Errorf("%s from a speed that stays behind: %v", name, err)
		}
		if pin, err := s.Pin(t.Context(), src, nil, serving.Fresh{}); err != nil || pin.Delta.At[1] != 3 {
			t.Errorf("%s: nothing was asked for: %+v, %v", name, pin, err)
		}
	}
}

// answersOf is a source with two versions of one view, and a batch layer that
// the test leads.
func answersOf(t *testing.T) (src *serving.Source, b *ledBatch, declared, older *view.View) {
	t.Helper()
	schema, err := schemas.Parse(1, []byte(`{"type":"record","name":"E","fields":[{"name":"id","type":"string"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	compile := func(name, sql string) *view.View {
		v, err := view.Compile(t.Context(), view.Source{Name: name, SQL: sql}, schema.Shape(), "")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	const was = "SELECT count(*) AS n FROM events"
	declared = compile("v", "SELECT id, count(*) AS n FROM events GROUP BY ALL")
	older = compile(archive.ViewKey("v", compile("v", was).Version()), was)
	b = &ledBatch{m: &archive.Manifest{Version: 3, K: 2, Cut: event.Cut{4}, Views: map[string]*archive.ViewFiles{
		"v":          {Version: declared.Version(), Results: []archive.ResultFile{{Name: "declared"}}},
		older.Name(): {Version: older.Version(), Results: []archive.ResultFile{{Name: "older"}}},
	}}}
	return &serving.Source{Name: "shop", Views: []*view.View{declared}, Older: []*view.View{older}, Speed: &fallen{}, Batch: b}, b, declared, older
}

type ledBatch struct {
	serving.Batch
	m   *archive.Manifest
	err error // of Newest

	fetch error // of Local
}

func (l *ledBatch) Local(context.Context, string, int64, string) (string, func(), error) {
	return "", func() {}, l.fetch
}

func (l *ledBatch) Newest(context.Context) (*archive.Manifest, error) { return l.m, l.err }
func (l *ledBatch) Known() *archive.Manifest                          { return l.m }

// The version that the manifest says answers, with its files and not those of
// another.
func TestTheVersionThatAnswers(t *testing.T) {
	t.Parallel()
	src, b, declared, older := answersOf(t)
	var dice float64
	s := serving.New(serving.Options{Dice: func() float64 { return dice }})
	for _, c := range []struct {
		serves       string
		canary, dice float64
		want         *view.View
	}{
		{"", 0, 0, declared}, {older.Name(), 0, 0, older}, {older.Name(), 10, 9.9, declared}, {older.Name(), 10, 10, older}, {older.Name(), 100, 99.9, declared},
	} {
		m := *b.m
		m.Serves, m.Canary = map[string]string{}, map[string]float64{"v": c.canary}
		if c.serves != "" {
			m.Serves["v"] = c.serves
		}
		b.m, dice = &m, c.dice
		p, err := s.Pin(t.Context(), src, []string{"v"}, serving.Fresh{})
		if err != nil {
			t.Fatal(err)
		}
		files, err := p.Results("v")
		if err != nil || p.View("v") != c.want || files[0].Name != m.Views[c.want.Name()].Results[0].Name {
			t.Errorf("%+v: view %s from %v, %v", c, p.View("v").Name(), files, err)
		}
	}
	m := *b.m
	m.Serves, m.Canary = nil, nil
	m.Views = map[string]*archive.ViewFiles{"v": {Version: declared.Version(), Results: []archive.ResultFile{{Name: "a"}, {Name: "b", Unfinished: "a sum left its type"}}}}
	b.m = &m
	p, err := s.Pin(t.Context(), src, []string{"v"}, serving.Fresh{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Results("v"); fault.CodeOf(err) != "view_unfinished" {
		t.Errorf("a view with a group that has no result: %v", err)
	}
}

// Damage is told and never passed over by an older answer; a version whose
// files cannot be had is, but not behind what the answer has to cover.
func TestWhatStandsInForTheNewest(t *testing.T) {
	t.Parallel()
	src, b, _, _ := answersOf(t)
	now := clock.NewManual(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	s := serving.New(serving.Options{Clock: now})
	pinned, err := s.Pin(t.Context(), src, []string{"v"}, serving.Fresh{})
	if err != nil {
		t.Fatal(err)
	}
	s.Answered(pinned, []string{"v"})
	b.err = fault.New(fault.Corrupt, "the newest manifest is damaged")
	if p, err := s.Pin(t.Context(), src, []string{"v"}, serving.Fresh{}); !fault.Is(err, fault.Corrupt) {
		t.Errorf("damage: %+v, %v", p, err)
	}
	now.Advance(time.Minute) // it is asked again
	b.err = fault.New(fault.Transient, "the store is away")
	if p, err := s.Pin(t.Context(), src, []string{"v"}, serving.Fresh{}); err != nil || p.Stale == "" {
		t.Errorf("away: %+v, %v", p, err)
	}

	now.Advance(time.Minute)
	b.err = nil
	next := *b.m
	next.Version++
	b.m = &next
	src.Batch = b
	p, err := s.Pin(t.Context(), src, []string{"v"}, serving.Fresh{AtLeast: map[string]event.Cut{"shop": {5, 9}}})
	if err != nil || p.Manifest.Version != 4 {
		t.Fatal(p, err)
	}
	b.fetch = fault.New(fault.Transient, "the store is away")
	_, err = p.Fetch(t.Context(), []archive.ResultFile{{Name: "declared"}})
	var u *serving.Unfetched
	if !errors.As(err, &u) {
		t.Fatal(err)
	}
	if p, err := s.Before(t.Context(), u, []string{"v"}); err != nil || p.Manifest.Version != 3 || p.Stale == "" {
		t.Errorf("the version before: %+v, %v", p, err)
	}
	s.Answered(p, []string{"v"}) // its files were here, and are gone
	if p, err := s.Before(t.Context(), u, []string{"v"}); !fault.Is(err, fault.Transient) {
		t.Errorf("none is older: %+v, %v", p, err)
	}
	src.Speed = &fallen{behind: 1 << 30}
	s = serving.New(serving.Options{Clock: now})
	s.Answered(pinned, []string{"v"})
	if p, err := s.Before(t.Context(), u, []string{"v"}); !fault.Is(err, fault.Transient) {
		t.Errorf("behind what the answer has to cover: %+v, %v", p, err)
	}
}

// keptBatch is a ledBatch that keeps its version.
type keptBatch struct{ *ledBatch }

func (k keptBatch) Manifest(context.Context, uint64) (*archive.Manifest, error) { return k.m, nil }
func (k keptBatch) ManifestTimes(context.Context) ([]archive.Aged, error)       { return nil, nil }
func (k keptBatch) ManifestOf(string) (version uint64, ok bool)                 { return 0, false }

// At one receipt there is one answer: a view that the receipt does not name is
// not the canary, whatever the dice say; one that it names is what it was.
func TestAReceiptThrowsNoDice(t *testing.T) {
	t.Parallel()
	src, b, declared, older := answersOf(t)
	b.m.Serves, b.m.Canary = map[string]string{"v": older.Name()}, map[string]float64{"v": 50}
	src.Batch = keptBatch{b}
	src.Past = func(context.Context, *archive.Manifest, event.Cut, []*view.View) (*view.Delta, error) {
		return nil, nil
	}
	r := serving.PipelineReceipt{Manifest: b.m.Version, ManifestHash: b.m.Hash(), Barrier: b.m.K, At: event.Cut{4}}
	for _, dice := range []float64{0, 99} {
		s := serving.New(serving.Options{Dice: func() float64 { return dice }})
		r.Views = nil
		if p, err := s.Past(t.Context(), src, []string{"v"}, r); err != nil || p.View("v") != older {
			t.Errorf("dice %v, a view that is not named: %v", dice, err)
		}
		r.Views = map[string]string{"v": declared.Version()}
		if p, err := s.Past(t.Context(), src, []string{"v"}, r); err != nil || p.View("v") != declared {
			t.Errorf("dice %v, a view that is named: %v", dice, err)
		}
	}
}

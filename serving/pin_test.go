package serving_test

import (
	"context"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
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

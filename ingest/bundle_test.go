package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shopAvro = `{"type": "record", "name": "Sale", "fields": [
  {"name": "id", "type": "string"},
  {"name": "customer", "type": "string"},
  {"name": "quantity", "type": "int"},
  {"name": "note", "type": ["null", "string"], "default": null}
]}`

var shopIdentity = schemas.Identity{Fields: []string{"id"}, Key: []string{"customer"}}

const shopPartitions = 3

// testBundle is a gateway with everything it stands on.
type testBundle struct {
	*Gateway
	store   *stream.Memory
	log     stream.Log
	bucket  *bucket.Memory
	letters *deadletter.Store
	schema  *schemas.Schema
}

// setup starts a gateway over a memory log and a memory bucket; change may
// change its options.
func setup(t *testing.T, change func(*Options)) *testBundle {
	t.Helper()
	schema, err := schemas.Parse(7, []byte(shopAvro))
	if err != nil {
		t.Fatal(err)
	}
	b := bucket.NewMemory()
	tb := &testBundle{store: stream.NewMemory(), bucket: b, letters: deadletter.New(b, "shop"), schema: schema}
	if tb.log, err = tb.store.Open(t.Context(), "shop", shopPartitions); err != nil {
		t.Fatal(err)
	}
	o := Options{
		Pipeline: "shop", Schema: schema, Identity: shopIdentity, Log: tb.log, Letters: tb.letters, Producer: "g", Linger: -1, RetryAfter: time.Nanosecond,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError + 1})),
	}
	if change != nil {
		change(&o)
	}
	if tb.Gateway, err = New(o); err != nil {
		t.Fatal(err)
	}
	if err := tb.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tb.Stop)
	return tb
}

// sale renders one good event.
func sale(id, customer string, quantity int) string {
	return fmt.Sprintf(`{"id":%q,"customer":%q,"quantity":%d}`+"\n", id, customer, quantity)
}

// sales renders n good events named prefix0, prefix1, ... of many customers.
func sales(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(sale(fmt.Sprint(prefix, i), fmt.Sprint("c", i%17), i))
	}
	return b.String()
}

func (tb *testBundle) accept(t *testing.T, body string, m Meta) Answer {
	t.Helper()
	a, err := tb.Accept(t.Context(), strings.NewReader(body), m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// logged is what the log holds, read back.
type logged struct {
	ids     map[string][]event.Position // of events, by their id field
	at      map[event.Position]string
	headers [][]event.Header // by partition, in order
	bodies  [][]string
}

func readLog(t *testing.T, l stream.Log, schema *schemas.Schema) logged {
	t.Helper()
	out := logged{ids: map[string][]event.Position{}, at: map[event.Position]string{}, headers: make([][]event.Header, l.Partitions()), bodies: make([][]string, l.Partitions())}
	for p := range l.Partitions() {
		first, next, err := l.Bounds(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		r, err := l.Read(t.Context(), p, first)
		if err != nil {
			t.Fatal(err)
		}
		for at := first; at < next; {
			records, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, record := range records {
				at = record.Offset + 1
				h, body, err := event.ParseFrame(record.Frame)
				if err != nil {
					t.Fatal(err)
				}
				b, err := schema.DecodeFrame(body)
				if err != nil {
					t.Fatal(err)
				}
				if h.Pipeline != "shop" || h.Kind != event.Rows || h.Schema != schema.Version() || int(h.Rows) != b.N || b.N == 0 || len(b.IDs) != b.N {
					t.Fatalf("frame %+v of %d rows", h, b.N)
				}
				out.headers[p] = append(out.headers[p], h)
				out.bodies[p] = append(out.bodies[p], string(body))
				for i := range b.N {
					id, pos := string(b.Column("id").Bytes(i)), event.Position{Partition: int32(p), Offset: record.Offset, Row: int32(i)}
					out.ids[id] = append(out.ids[id], pos)
					out.at[pos] = id
				}
			}
		}
		r.Close()
	}
	return out
}

// checkSequences checks that each producer counts 1, 2, 3, ... in each
// partition, and that what has one number twice is the same frame twice.
func (l logged) checkSequences(t *testing.T) {
	t.Helper()
	for p, headers := range l.headers {
		last, body := map[string]uint64{}, map[string]string{}
		for i, h := range headers {
			switch {
			case h.Sequence == last[h.Producer]+1:
			case h.Sequence == last[h.Producer] && body[h.Producer] == l.bodies[p][i]:
			default:
				t.Fatalf("partition %d: producer %s wrote sequence %d after %d", p, h.Producer, h.Sequence, last[h.Producer])
			}
			last[h.Producer], body[h.Producer] = h.Sequence, l.bodies[p][i]
		}
	}
}

func listLetters(t *testing.T, s *deadletter.Store) []deadletter.Letter {
	t.Helper()
	var out []deadletter.Letter
	for l, err := range s.List(t.Context(), deadletter.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

// when is a predicate over one row.
type when func(b *event.Batch, i int) (bool, error)

func (w when) Eval(b *event.Batch, out []bool) error {
	var failed error
	for i := range out {
		yes, err := w(b, i)
		if err != nil {
			failed = err
		}
		out[i] = yes && err == nil
	}
	return failed
}

func quantityIs(n int64) Predicate {
	return when(func(b *event.Batch, i int) (bool, error) { return b.Column("quantity").Ints[i] == n, nil })
}

// hooked lets tests stand before the log and the letters. Each hook is called
// before the operation; the function it returns, if any, after it, and may
// replace its error.
type hooked struct {
	stream.Log
	Letters

	mu       sync.Mutex
	onAppend func(ctx context.Context) (before error, after error)
	onPut    func(ctx context.Context) (before error, after error)
}

func (h *hooked) Append(ctx context.Context, partition int, frame []byte) (uint64, error) {
	var after error
	if h.onAppend != nil {
		before, a := h.onAppend(ctx)
		if before != nil {
			return 0, before
		}
		after = a
	}
	offset, err := h.Log.Append(ctx, partition, frame)
	if err == nil && after != nil {
		return 0, after
	}
	return offset, err
}

func (h *hooked) Put(ctx context.Context, request string, letters []deadletter.Letter) error {
	var after error
	if h.onPut != nil {
		before, a := h.onPut(ctx)
		if before != nil {
			return before
		}
		after = a
	}
	if err := h.Letters.Put(ctx, request, letters); err != nil {
		return err
	}
	return after
}

// until waits, without a clock, until something other goroutines bring about
// is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
		runtime.Gosched()
	}
}

func kindAndCode(err error) string { return fault.KindOf(err).String() + " " + fault.CodeOf(err) }

func sorted[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/event"
	"anabranch/internal/alert"
	"anabranch/internal/packed"
)

func balanced(t *testing.T, s *small) api.Ledger {
	t.Helper()
	s.settle()
	l, err := s.ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parts, err := s.bisect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !l.Balanced || len(parts) != 2 || !parts[0].Equal || !parts[1].Equal {
		t.Fatalf("out of balance: %+v %+v", l, parts)
	}
	return l
}

func TestLedgerByRuleBelowAndAboveTheCut(t *testing.T) {
	t.Parallel()
	s := mustSmall(t)
	s.send(seeded(t, 0), 30, 200)
	above := balanced(t, s)
	s.nightly("n1")
	below := balanced(t, s)
	if above.Filtered["odd"] == 0 || len(below.Filtered) != 1 || below.Filtered["odd"] != above.Filtered["odd"] || below.Counted != above.Counted {
		t.Errorf("above the cut %+v, below it %+v", above, below)
	}
}

// tamper changes the newest manifest in the bucket.
func tamper(t *testing.T, s *small, change func(*archive.Manifest)) string {
	t.Helper()
	m, err := s.archive.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	copied := *m
	change(&copied)
	text, err := json.Marshal(&copied)
	if err != nil {
		t.Fatal(err)
	}
	object, err := packed.Pack(text)
	if err != nil {
		t.Fatal(err)
	}
	name := s.archive.ManifestName(m.Version)
	if _, err := s.bucket.Put(t.Context(), name, bytes.NewReader(object), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	// Another process, which has not read it yet; this one's loops look at the
	// fields that change.
	s.loop.Stop()
	s.archive = archive.Open(s.bucket, "small", s.set, archive.Options{Partitions: 2})
	s.segments = newSegmentIndex(s.archive, 2)
	return name
}

func TestBisectNamesATamperedManifest(t *testing.T) {
	t.Parallel()
	s := mustSmall(t)
	rnd := seeded(t, 0)
	s.send(rnd, 20, 200)
	s.nightly("n1")
	s.send(rnd, 20, 400)
	s.nightly("n2")
	s.send(rnd, 5, 400)
	balanced(t, s)
	first, err := s.archive.Manifest(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	name := tamper(t, s, func(m *archive.Manifest) {
		m.Counted += 3
		m.Accounts = append([]archive.Account{}, m.Accounts...)
		m.Accounts[1].Counted += 3
	})
	l, err := s.ledger(t.Context())
	if err != nil || l.Balanced || l.Imbalance != -3 {
		t.Errorf("ledger %+v, %v; want an imbalance of -3", l, err)
	}
	parts, err := s.bisect(t.Context())
	if err != nil || len(parts) != 2 || !parts[0].Equal || parts[1].Equal || parts[1].Where != name || parts[1].Offset != first.Cut[1] {
		t.Errorf("bisect %+v, %v; want partition 1 from %d, %s", parts, err, first.Cut[1], name)
	}
}

func TestBisectNamesTamperedTotals(t *testing.T) {
	t.Parallel()
	s := mustSmall(t)
	s.send(seeded(t, 0), 10, 200)
	s.nightly("n1")
	balanced(t, s)
	name := tamper(t, s, func(m *archive.Manifest) { m.Duplicates-- })
	parts, err := s.bisect(t.Context())
	if err != nil || len(parts) != 3 || parts[0].Partition != -1 || parts[0].Where != name {
		t.Errorf("bisect %+v, %v; want %s", parts, err, name)
	}
}

func TestBisectNamesTheFrameThatASegmentMisses(t *testing.T) {
	t.Parallel()
	s := mustSmall(t)
	rnd := seeded(t, 0)
	s.send(rnd, 20, 300)
	s.settle()
	// A sealer that loses a frame: it reads a log without it.
	missing := uint64(0)
	n := 0
	head, err := s.head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = tail(t.Context(), s.log, 0, 0, head[0], func(offset uint64, h event.Header, _ []byte) error {
		if n++; n == 3 {
			missing = offset
		}
		return nil
	})
	if err != nil || missing == 0 {
		t.Fatal(missing, err)
	}
	s.sealer.Stop()
	lossy := archive.NewSealer(s.archive, without{s.log, missing}, archive.SealerOptions{MaxRows: 10})
	if err := lossy.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer lossy.Stop()
	deadline := time.Now().Add(5 * time.Minute)
	for lossy.Sealed()[0] <= missing {
		if time.Now().After(deadline) {
			t.Fatal("not sealed")
		}
		time.Sleep(time.Millisecond)
	}
	l, err := s.ledger(t.Context())
	if err != nil || l.Balanced {
		t.Errorf("ledger %+v, %v; want it out of balance", l, err)
	}
	parts, err := s.bisect(t.Context())
	if err != nil || len(parts) != 2 || parts[0].Equal || parts[0].Offset != missing || !strings.Contains(parts[0].Where, "small/segments/p0000/") || !parts[1].Equal {
		t.Errorf("bisect %+v, %v; want partition 0 at %d", parts, err, missing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	told := &listener{until: "does not add up", heard: cancel}
	alerts, heard := recorder(t)
	s.audit(ctx, slog.New(slog.NewTextHandler(told, nil)), alerts, 100*time.Millisecond)
	if got := heard(); len(got) == 0 || got[0].Name != alert.Imbalance || got[0].Pipeline != "small" || got[0].Status != "firing" {
		t.Errorf("heard %+v", got)
	}
	if !strings.Contains(told.String(), "does not add up") {
		t.Errorf("the audit says %q", told.String())
	}
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range families {
		if f.GetName() == "anabranch_ledger_imbalance" {
			found = f.Metric[0].GetGauge().GetValue() == float64(l.Imbalance)
		}
	}
	if !found {
		t.Error("the metric does not tell the imbalance")
	}
}

// listener keeps what is written and calls heard once it has a text.
type listener struct {
	bytes.Buffer
	until string
	heard func()
}

func (l *listener) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte(l.until)) {
		l.heard()
	}
	return l.Buffer.Write(text)
}

package serving

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// Receipt says what an answer covers: every event below At, each once.
type Receipt struct {
	AsOf      time.Time                  `json:"as_of"`
	Pipelines map[string]PipelineReceipt `json:"pipelines"`
}

// PipelineReceipt is the part of one pipeline.
type PipelineReceipt struct {
	Manifest     uint64    `json:"manifest"` // batch version
	ManifestHash string    `json:"manifest_hash,omitempty"`
	Barrier      uint64    `json:"barrier"`
	Cut          event.Cut `json:"cut"` // batch counts below, speed at and above
	At           event.Cut `json:"at"`  // the next offset of each partition: everything below is in
	CompleteTo   string    `json:"complete_to,omitempty"`
	// Views are the versions that answered, of the asked views.
	Views        map[string]string `json:"views,omitempty"`
	Rules        string            `json:"rules,omitempty"`      // names the filter rules in force
	References   string            `json:"references,omitempty"` // names the reference tables in force, with their versions
	RowsBatch    int64             `json:"rows_batch"`           // events counted below the cut
	RowsSpeed    int64             `json:"rows_speed"`           // and above it
	Duplicates   int64             `json:"duplicates"`
	DeadLetters  int64             `json:"dead_letters"`
	Stale        bool              `json:"stale,omitempty"` // the object store did not answer: there may be a newer version
	StaleBecause string            `json:"stale_because,omitempty"`
}

// Receipt returns the receipt of the answer from these pins.
func (s *Serving) Receipt(pins ...*Pin) Receipt {
	r := Receipt{AsOf: s.o.Clock.Now().UTC(), Pipelines: map[string]PipelineReceipt{}}
	for _, p := range pins {
		m, d := p.Manifest, p.Delta
		pr := PipelineReceipt{
			Manifest: m.Version, Barrier: m.K, Cut: m.Cut, At: d.At, Rules: p.Source.Rules, References: p.References, CompleteTo: completeTo(p),
			RowsBatch: m.Counted, RowsSpeed: d.Counted, Duplicates: m.Duplicates + d.Duplicates, Stale: p.Stale != "", StaleBecause: p.Stale,
		}
		for name, v := range p.answers {
			if pr.Views == nil {
				pr.Views = map[string]string{}
			}
			pr.Views[name] = v.Version()
		}
		if m.Version > 0 {
			pr.ManifestHash = m.Hash()
		}
		if p.Source.DeadLetters != nil {
			pr.DeadLetters = p.Source.DeadLetters()
		}
		r.Pipelines[p.Source.Name] = pr
	}
	return r
}

// completeTo is the event time up to which nothing more is expected: the
// newest event seen, less the declared lateness. Later events still count.
func completeTo(p *Pin) string {
	newest := p.Delta.MaxTime
	if newest == math.MinInt64 {
		newest = 0
	}
	for _, f := range p.Manifest.Days {
		if n := len(f.Days); n > 0 {
			newest = max(newest, int64(f.Days[n-1].Day)*24*time.Hour.Microseconds())
		}
	}
	if newest == 0 {
		return ""
	}
	return time.UnixMicro(newest).Add(-p.Source.Lateness).UTC().Format("2006-01-02 15:04:05")
}

// handedIn is a receipt that a query is handed: the gateway's, which names
// positions, or an answer's, which names a cut for each pipeline.
type handedIn struct {
	Pipeline  string   `json:"pipeline"`
	Positions []string `json:"positions"`
	Pipelines map[string]struct {
		At event.Cut `json:"at"`
	} `json:"pipelines"`
}

// ParseAtLeast reads a receipt into what a query has to wait for: the gateway's,
// so that the answer includes the events sent, or that of an answer, so that
// the next one does not fall behind it. The empty text asks for nothing.
func ParseAtLeast(text string) (map[string]event.Cut, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var r handedIn
	if err := json.Unmarshal([]byte(text), &r); err != nil || (r.Pipeline == "") == (r.Pipelines == nil) {
		return nil, fault.New(fault.Invalid, `receipt %q: want the gateway's, such as {"pipeline":"retail","positions":["0/12/99"]}, or that of an answer`, text)
	}
	if r.Pipeline == "" {
		cuts := map[string]event.Cut{}
		for name, p := range r.Pipelines {
			cuts[name] = p.At
		}
		return cuts, nil
	}
	var cut event.Cut
	for _, s := range r.Positions {
		p, err := event.ParsePosition(s)
		if err != nil {
			return nil, err
		}
		if p.Partition >= schemas.MaxPartitions {
			return nil, fault.New(fault.Invalid, "receipt: position %s: a pipeline has at most %d partitions", s, schemas.MaxPartitions)
		}
		for len(cut) <= int(p.Partition) {
			cut = append(cut, 0)
		}
		cut[p.Partition] = max(cut[p.Partition], p.Offset+1)
	}
	return map[string]event.Cut{r.Pipeline: cut}, nil
}

// ParseConsistency reads "eventual", which is the default, or "latest", and
// reports whether it is that; name is what the error calls it.
func ParseConsistency(name, text string) (latest bool, err error) {
	switch text {
	case "", "eventual":
		return false, nil
	case "latest":
		return true, nil
	}
	return false, fault.New(fault.Invalid, `%s %q: want "eventual" or "latest"`, name, text)
}

// ParseReceipt reads the receipt of an answer, which AS OF RECEIPT names.
func ParseReceipt(text string) (*Receipt, error) {
	var r Receipt
	if err := json.Unmarshal([]byte(text), &r); err != nil || len(r.Pipelines) == 0 {
		return nil, fault.WithCode(fault.New(fault.Invalid, `AS OF RECEIPT wants the receipt of an answer, {"as_of": ..., "pipelines": {...}}: %.80s`, text), "receipt_invalid")
	}
	return &r, nil
}

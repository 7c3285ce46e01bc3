package server

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"

	"anabranch/ingest"
	"anabranch/internal/processors"
	"anabranch/serving/sql"
)

// memory divides what this program may use among those who use much, and
// watches that together they stay below it. Each share has an answer for what
// does not fit: 429, and the time after which to come again.
type memory struct {
	limit int64 // of this process and its child
	child int64 // Temporal's, when it is ours
	own   int64 // of this process
	query int64 // DuckDB's for queries; as much again for verify
	gate  int64 // what one gateway holds for requests in progress
	state int64 // speed's groups and ids: above it events are refused

	segment int64 // of a segment's frames, which are held until it is sealed
	chunk   int64 // what one step of a batch sorts at once
	states  int64 // what one step of a batch merges at once
	blocks  int64 // decoded blocks of one pipeline's id runs

	used  atomic.Int64 // resident and not of files
	held  atomic.Int64 // by groups and ids
	loads atomic.Pointer[[]ingest.Load]
}

const (
	leastMemory = 256 << 20
	sampleEvery = 100 * time.Millisecond
	// What each share is where there is plenty.
	mostChild, mostQuery, mostGate                 = 512 << 20, 2 << 30, 256 << 20
	mostSegment, mostChunk, mostStates, mostBlocks = 64 << 20, 512 << 20, 1 << 30, 64 << 20
)

// The loads for which requests are refused.
const (
	codeMemory      = "memory"       // of the whole process
	codeStateMemory = "state_memory" // of speed's groups and ids
	codeFoldingLag  = "folding_lag"  // speed is behind the log
)

// maxLag is how far speed may be behind the log before events are refused:
// what waits there has yet to take its memory.
const maxLag = 10 * time.Second

// divide makes the shares of a limit.
func divide(limit int64, ownTemporal bool) *memory {
	m := &memory{limit: max(limit, leastMemory)}
	if ownTemporal {
		m.child = min(m.limit/4, mostChild)
	}
	m.own = m.limit - m.child - m.limit/16 // what the kernel keeps for us, and what comes between two looks
	m.query = min(m.own/6, mostQuery)
	m.gate = min(m.own/8, mostGate)
	m.state = m.own / 4 // a snapshot and an answer hold copies of a part
	m.segment = min(m.own/64, mostSegment)
	m.chunk = min(m.own/32, mostChunk)
	m.states = min(m.own/16, mostStates)
	m.blocks = min(m.own/32, mostBlocks)
	return m
}

// goLimit is the soft limit of Go's runtime: what DuckDB, C and the kernel
// keep for us is not its.
func (m *memory) goLimit() int64 { return m.own - 2*m.query - m.own/10 }

// steps is how many steps of batches may run at once: one for each processor
// and two that wait, where there is room for them.
func (m *memory) steps() int {
	return int(min(max(m.own/(128<<20), 1), int64(processors.Count())+2))
}

// connections is how many there may be; more wait in the kernel. files is how
// many files the process may have open at once: half of them are for the log,
// the snapshots and the object store, which must never be without.
func (m *memory) connections(files uint64) int {
	return int(min(max(m.own/(256<<10), 256), 16<<10, max(int64(min(files, 1<<20))/2, 8)))
}

// queries is how many queries may run at once.
func (m *memory) queries() int { return int(min(max(m.own/(64<<20), 2), 32)) }

// findMemory returns what this process and its children may use: the limit of
// its container, or all that the machine has.
func findMemory() int64 {
	for _, find := range []func() (uint64, error){memlimit.FromCgroup, memlimit.FromSystem} {
		if n, err := find(); err == nil && n > 0 && n < math.MaxInt64 {
			if all, err := memlimit.FromSystem(); err == nil {
				n = min(n, all)
			}
			return int64(n)
		}
	}
	return 4 << 30
}

// TuneGo gives Go's runtime its share of the memory and its places, unless
// GOMEMLIMIT or GOMAXPROCS have been set by hand. It is for programs, of which
// there is one in a process.
func (c *Config) TuneGo() {
	c.ensureDefaults()
	processors.Widen()
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(c.memory().goLimit())
	}
}

func (c *Config) memory() *memory {
	return divide(c.Memory, c.Temporal == "")
}

// watchMemory samples what is used until ctx ends.
func (s *Server) watchMemory(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s.memory.sample(s.speedLoad())
		sql.GiveBack() // whoever closed a database meanwhile has ended that
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// speedLoad returns the memory of all groups and ids, and the longest lag of
// those partitions that fold.
func (s *Server) speedLoad() (held int64, lag time.Duration) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.pipelines {
		if p.speed == nil {
			continue
		}
		for _, st := range p.speed.Stats().Partitions {
			held += st.StateBytes + st.HotBytes
			if st.State == "folding" {
				lag = max(lag, st.Lag)
			}
		}
	}
	return held, lag
}

func (m *memory) sample(held int64, lag time.Duration) {
	m.held.Store(held)
	m.used.Store(resident())
	m.loads.Store(&[]ingest.Load{
		// At nine tenths of the process's share, so that what has been let in
		// finds room.
		{Code: codeMemory, What: "the memory of this server", Share: float64(m.used.Load()) / (0.9 * float64(m.own)), After: time.Second},
		{Code: codeStateMemory, What: "the memory for groups and ids that no batch has counted yet", Share: float64(held) / float64(m.state), After: 10 * time.Second},
		{Code: codeFoldingLag, What: "the delay of folding", Share: lag.Seconds() / maxLag.Seconds(), After: time.Second},
	})
}

// Loads returns the newest sample.
func (m *memory) Loads() []ingest.Load {
	if l := m.loads.Load(); l != nil {
		return *l
	}
	return nil
}

// resident returns the memory of this process that is its own: neither files
// nor shared. 0 where the system does not tell.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	if len(f) < 3 {
		return 0
	}
	all, err1 := strconv.ParseInt(f[1], 10, 64)
	shared, err2 := strconv.ParseInt(f[2], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (all - shared) * int64(os.Getpagesize())
}

// register adds the metrics of memory.
func (m *memory) register(r prometheus.Registerer) {
	for name, g := range map[string]struct {
		help  string
		value func() int64
	}{
		"limit_bytes":       {"What this process and its child may use.", func() int64 { return m.limit }},
		"used_bytes":        {"What this process uses, without files.", m.used.Load},
		"state_bytes":       {"What speed's groups and ids use.", m.held.Load},
		"state_limit_bytes": {"What they may use: above it events are refused.", func() int64 { return m.state }},
	} {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "anabranch", Subsystem: "memory", Name: name, Help: g.help},
			func() float64 { return float64(g.value()) }))
	}
}

// Package server composes the rooms into one running program: it picks the
// drivers, starts the parts in the order of the data, and stops them in the
// reverse order.
package server

import (
	"log/slog"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"anabranch/fault"
)

// Role is a part of the work that a process may take on. One process usually
// takes all of them; apart, they meet in the log, the object store and
// Temporal.
type Role string

// The roles.
const (
	RoleGateway Role = "gateway" // the front door
	RoleSpeed   Role = "speed"   // seals the archive, folds the stream, serves queries
	RoleWorker  Role = "worker"  // runs batches and backfills
)

// AllRoles is what one machine runs.
var AllRoles = []Role{RoleGateway, RoleSpeed, RoleWorker}

// Config says what to run and where. The zero value of a field means its
// default.
type Config struct {
	Dir    string // state of this process; required
	Code   string // version of the program, kept with what it publishes
	Roles  []Role // default: all
	Listen string // HTTP, default 127.0.0.1:8080; port 0 picks a free one

	// PG is where the PostgreSQL door of a process with the speed role listens;
	// empty or "none": there is no such door.
	PG string

	// Flight is where its Arrow Flight SQL door listens, in the same way.
	Flight string

	// TLSCert and TLSKey are PEM files for the doors that speak TLS, and Users
	// a file of who may ask there: with all of them a door may listen beyond
	// loopback.
	TLSCert, TLSKey, Users string

	NATS       string // URL of a NATS server; empty: embedded, in Dir/log
	NATSListen string // embedded: default 127.0.0.1:4222
	LogBytes   int64  // embedded: what the log may take on disk, default 16 GiB
	MinFree    int64  // embedded: room on its disk below which events are refused, default DefaultMinFree

	// Bucket is file:///path or s3://bucket?endpoint=http://host:port&region=r;
	// default: file, in Dir/bucket. With &stall=15s an attempt is given up in
	// which the store moves nothing for so long.
	Bucket string

	Temporal       string // address of a Temporal server; empty: one of our own
	TemporalListen string // our own: default 127.0.0.1:7233
	TemporalUI     string // our own: default 127.0.0.1:8233; with an address given: the UI's URL
	TemporalSource string // our own: where tools/temporal is, found by itself when empty
	TemporalBinary string // our own: a built tools/temporal; found or built when empty
	TaskQueue      string // default "anabranch"

	// Memory is what this process and its children may use, in bytes. Default:
	// the limit of its container, or what the machine has.
	Memory int64

	// TrustNetwork allows addresses beyond loopback without TLS: only where
	// the network itself is the border, as in a container.
	TrustNetwork bool

	// Alert names who is called when something is wrong, as outbox.Parse wants
	// it; AlertEscalate who is called too when it was raised AlertAfter times.
	Alert, AlertEscalate []string
	AlertAfter           int // default 3

	// Deployment and Build make the worker one of a build, see worker.Options.
	Deployment, Build string

	// BatchLeast is the share of its processors that a worker gives to batches
	// however slow events are, and BatchSlower how many times longer than
	// without batches events may take; see pace.Goal for the defaults.
	BatchLeast, BatchSlower float64

	// Lineage names who is told what runs read and wrote, as OpenLineage events;
	// LineageNamespace is that of jobs and data in them, default "anabranch".
	Lineage          []string
	LineageNamespace string

	SnapshotEvery time.Duration // default 30 s
	SealEvery     time.Duration // default 1 min: the age at which a segment is sealed
	FollowEvery   time.Duration // default 1 s: how often it looks for definitions that another process applied
	Grace         time.Duration // default 30 s: how long speed keeps what a new manifest covers

	// Dice returns a number from 0 to 100 by which a query falls to a canary or
	// not; default: by chance.
	Dice func() float64

	Logger   *slog.Logger
	Progress func(string) // told about slow steps at the start; may be nil
}

// DefaultMinFree is what sealing, snapshots and batches find free on a disk
// that events have filled.
const DefaultMinFree = 256 << 20

func (c *Config) ensureDefaults() {
	or := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	or(&c.Listen, "127.0.0.1:8080")
	or(&c.NATSListen, "127.0.0.1:4222")
	or(&c.TemporalListen, "127.0.0.1:7233")
	or(&c.TaskQueue, "anabranch")
	or(&c.LineageNamespace, "anabranch")
	if c.Temporal == "" {
		or(&c.TemporalUI, "127.0.0.1:8233")
	}
	if c.Bucket == "" {
		c.Bucket = (&url.URL{Scheme: "file", Path: filepath.Join(c.Dir, "bucket")}).String()
	}
	if len(c.Roles) == 0 {
		c.Roles = AllRoles
	}
	if c.LogBytes == 0 {
		c.LogBytes = 16 << 30
	}
	if c.Memory == 0 {
		c.Memory = findMemory()
	}
	if c.MinFree == 0 {
		c.MinFree = DefaultMinFree
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = 30 * time.Second
	}
	if c.SealEvery == 0 {
		c.SealEvery = time.Minute
	}
	if c.FollowEvery == 0 {
		c.FollowEvery = time.Second
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.Dice == nil {
		c.Dice = func() float64 { return 100 * rand.Float64() }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
}

func (c *Config) validate() error {
	if c.Dir == "" {
		return fault.New(fault.Invalid, "--dir is empty: name a folder for the state")
	}
	for _, r := range c.Roles {
		if !slices.Contains(AllRoles, r) {
			return fault.New(fault.Invalid, "--role %q: want gateway, speed or worker", r)
		}
	}
	for flag, address := range map[string]string{"--http": c.Listen, "--nats-listen": c.NATSListen, "--temporal-listen": c.TemporalListen} {
		if !c.TrustNetwork && !loopback(address) {
			return fault.New(fault.Invalid, "%s %s is not a loopback address: nothing listens beyond loopback without TLS and authentication, which this version does not have; put a proxy in front", flag, address)
		}
	}
	return c.validateDoors()
}

func (c *Config) has(r Role) bool { return slices.Contains(c.Roles, r) }

// loopback reports whether an address with a port names this machine only.
func loopback(address string) bool {
	host, _, ok := strings.Cut(address, ":")
	return ok && (host == "127.0.0.1" || host == "localhost") || strings.HasPrefix(address, "[::1]:")
}

package natslog

import (
	"cmp"
	"log/slog"
	"net"
	"time"

	"anabranch/fault"
	"anabranch/internal/clock"
)

// Options say where the log is kept. Either Dir or URL is set.
type Options struct {
	// Dir is the folder of the embedded server. One process at a time.
	Dir string
	// URL is the address of an external server, "nats://host:4222" or several
	// joined by commas. It has to sync every message before it acknowledges
	// it (sync_interval: always).
	URL string
	// Credentials is the path of a NATS credentials file for URL; optional.
	Credentials string
	// Listen is the host:port on which the embedded server also takes other
	// programs' connections, loopback only; port 0 picks one. Default: none,
	// the server is reached in process only.
	Listen string
	// MaxBytes bounds each partition: the bytes of its frames and about 60
	// more for each of them. Full at the limit. 0 means no limit but MinFree.
	MaxBytes int64
	// MinFree is the free space below which the embedded log refuses appends
	// with Full, so that there is room left to archive, snapshot and trim.
	// Default 256 MiB; negative: no such limit.
	MinFree int64
	// AppendTimeout bounds an append whose context has no earlier deadline.
	// Default 10 s.
	AppendTimeout time.Duration
	// Clock paces retries and the watch over silent readers. Default the
	// machine's.
	Clock clock.Clock
	// Logger gets what the server says at warning level and above, and what
	// happens to connections and readers. Default: nothing is logged.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	o.MinFree = cmp.Or(o.MinFree, 256<<20)
	o.AppendTimeout = cmp.Or(o.AppendTimeout, 10*time.Second)
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case (o.Dir == "") == (o.URL == ""):
		return o, fault.New(fault.Invalid, "log: give either a folder for the embedded server (%q) or the address of another one (%q)", o.Dir, o.URL)
	case o.URL != "" && o.Listen != "":
		return o, fault.New(fault.Invalid, "log: listen %q is for the embedded server, not for the one at %s", o.Listen, o.URL)
	case o.MaxBytes < 0:
		return o, fault.New(fault.Invalid, "log: limit of %d bytes: want 0 or more", o.MaxBytes)
	case o.AppendTimeout < 0:
		return o, fault.New(fault.Invalid, "log: append timeout %v: want 0 or more", o.AppendTimeout)
	}
	if o.Listen != "" {
		host, _, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return o, fault.New(fault.Invalid, "log: listen %q: want host:port", o.Listen)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return o, fault.New(fault.Invalid, "log: listen %q: the embedded server has neither TLS nor users, so it listens on loopback only; run a NATS server of your own and give its URL", o.Listen)
		}
	}
	return o, nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/server"
	"anabranch/fault"
)

// serverFlags are the flags of dev and run.
func serverFlags(c *cobra.Command, o *server.Config, logLevel *string) {
	f := c.Flags()
	f.StringVar(&o.Dir, "dir", ".anabranch", "folder for the state; made when it is not there")
	f.StringVar(&o.Listen, "http", "127.0.0.1:8080", "address of the HTTP API; port 0 picks a free one")
	f.StringVar(&o.PG, "pg", "127.0.0.1:5432", "address of the PostgreSQL door; port 0 picks a free one, none for no door")
	f.StringVar(&o.Flight, "flight", "127.0.0.1:32010", "address of the Arrow Flight SQL door; port 0 picks a free one, none for no door")
	f.StringVar(&o.TLSCert, "tls-cert", "", "certificate (PEM) of the PostgreSQL and Flight SQL doors; with --tls-key and --users they may listen beyond loopback")
	f.StringVar(&o.TLSKey, "tls-key", "", "key (PEM) of the certificate")
	f.StringVar(&o.Users, "users", "", "file of who may ask there, a line of `anabranch user NAME` for each")
	f.StringVar(&o.NATS, "nats", "", "URL of a NATS server to use, instead of an embedded one")
	f.StringVar(&o.NATSListen, "nats-listen", "127.0.0.1:4222", "address of the embedded NATS server; port 0 picks a free one")
	f.StringVar(&o.Bucket, "bucket", "", "object store: file:///path or s3://bucket?endpoint=URL&region=NAME; DIR/bucket when not given")
	f.StringVar(&o.Temporal, "temporal-address", "", "address of a Temporal server to use, instead of one of our own; none for no batches")
	f.StringVar(&o.TemporalListen, "temporal-listen", "127.0.0.1:7233", "address of our own Temporal server; port 0 picks a free one")
	f.StringVar(&o.TemporalUI, "temporal-ui", "", "address of our own Temporal UI (127.0.0.1:8233, port 0 picks a free one), or the URL of the UI that belongs to --temporal-address")
	f.StringVar(&o.TemporalSource, "temporal-source", "", "folder tools/temporal of the source, to build the Temporal server from")
	f.DurationVar(&o.SnapshotEvery, "snapshot-every", 30*time.Second, "how often speed writes a snapshot of its state")
	f.DurationVar(&o.SealEvery, "seal-every", time.Minute, "the age at which a segment of the archive is sealed")
	o.MinFree = server.DefaultMinFree
	f.Var((*size)(&o.MinFree), "min-free", "room on the disk of the embedded log that is kept free: below it events are refused with 507")
	f.Var((*size)(&o.Memory), "memory", "memory that the program and its Temporal server may use (default the container's limit, or what the machine has)")
	f.Float64Var(&o.BatchLeast, "batch-least", 0.1, "share of the processors that batches have however slow events are; 1 never slows batches")
	f.Float64Var(&o.BatchSlower, "batch-slower", 1.3, "how many times longer than without batches events may take, at the 99th percentile, before batches are slowed")
	f.StringArrayVar(&o.Alert, "alert", nil, "who is called when a run fails, a view drifts, the ledger is out of balance or a file is damaged: a URL (with $NAME from the environment), exec:PROGRAM ARG..., file:PATH or log; may be given several times")
	f.StringArrayVar(&o.AlertEscalate, "alert-escalate", nil, "who is called too when it goes on; may be given several times")
	f.IntVar(&o.AlertAfter, "alert-after", 3, "after how many times it goes on")
	f.StringArrayVar(&o.Lineage, "lineage", nil, "who is told what runs read and wrote, as OpenLineage events: a URL (with $NAME from the environment), file:PATH or exec:PROGRAM ARG...; may be given several times")
	f.StringVar(&o.LineageNamespace, "lineage-namespace", "anabranch", "namespace of jobs and data in them")
	f.StringVar(logLevel, "log", "warn", "debug, info, warn or error; logs go to standard error")
}

// temporalBinaryEnv names a built tools/temporal, where there is one already.
const temporalBinaryEnv = "ANABRANCH_TEMPORAL_BIN"

func newLogger(level string, out io.Writer) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fault.New(fault.Invalid, "--log %q: want debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: l})), nil
}

func newDev() *cobra.Command {
	var o server.Config
	var logLevel string
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine, until Ctrl-C",
		Long: `Dev runs the whole system in one process, with an embedded log and a Temporal
server as its child. The state in --dir survives Ctrl-C, kill -9 and restart.
When it is ready it writes DIR/addresses.json and prints one line.

The first start builds the Temporal server, which takes some minutes; a
temporal on PATH or --temporal-address is used instead.`,
		Example: "  anabranch dev --dir .anabranch",
		Args:    exactly(0, "nothing"),
		RunE: func(c *cobra.Command, _ []string) error {
			return runServer(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), o, logLevel)
		},
	}
	serverFlags(c, &o, &logLevel)
	return c
}

func newRun() *cobra.Command {
	var o server.Config
	var logLevel string
	var roles []string
	c := &cobra.Command{
		Use:   "run --role ROLE",
		Short: "Run some roles in this process: gateway, speed, worker",
		Long: `Run starts only the roles that are named. Processes meet in the log, the object
store and Temporal, which all of them must be given. docker-compose.yml shows
them apart.`,
		Example: "  anabranch run --role worker --nats nats://nats:4222 --bucket 's3://anabranch?endpoint=http://s3:7070' --temporal-address temporal:7233",
		Args:    exactly(0, "nothing"),
		RunE: func(c *cobra.Command, _ []string) error {
			for _, r := range roles {
				o.Roles = append(o.Roles, server.Role(r))
			}
			return runServer(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), o, logLevel)
		},
	}
	serverFlags(c, &o, &logLevel)
	c.Flags().StringSliceVar(&roles, "role", nil, "gateway, speed or worker; may be given several times")
	c.Flags().BoolVar(&o.TrustNetwork, "trust-network", false, "listen beyond loopback without TLS: only where the network itself is the border, as in a container whose ports are published on loopback")
	c.Flags().StringVar(&o.Deployment, "deployment", "", "of a worker: the fleet it belongs to, for anabranch deployment")
	c.Flags().StringVar(&o.Build, "build", "", "of a worker with --deployment: which build it is (default the version of the program)")
	_ = c.MarkFlagRequired("role")
	return c
}

// runServer runs until the context ends or a part fails for good.
func runServer(ctx context.Context, out, errOut io.Writer, o server.Config, logLevel string) error {
	logger, err := newLogger(logLevel, errOut)
	if err != nil {
		return err
	}
	o.Logger, o.Code = logger, codeVersion()
	if o.Deployment != "" && o.Build == "" {
		o.Build = o.Code
	}
	o.TemporalBinary = os.Getenv(temporalBinaryEnv)
	o.Progress = func(line string) { fmt.Fprintln(errOut, line) }
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	o.TuneGo()
	began := time.Now()
	s, err := server.Start(ctx, o)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer s.Stop()
	a := s.Addresses()
	line := fmt.Sprintf("anabranch is ready after %.1f s: %s", time.Since(began).Seconds(), a.HTTP)
	if a.TemporalUI != "" {
		line += ", Temporal UI " + a.TemporalUI
	}
	fmt.Fprintf(out, "%s, state in %s\n", line, shortPath(o.Dir))
	if a.PG != "" {
		fmt.Fprintf(out, "ask it in SQL: psql %s\n", a.PG)
	}
	if a.Flight != "" {
		fmt.Fprintf(out, "read it as Arrow (Flight SQL): %s\n", a.Flight)
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(errOut, "stopping; the state stays in", shortPath(o.Dir))
		return nil
	case err := <-s.Failed():
		return err
	}
}

// shortPath names a folder as seen from the working directory, when that is
// shorter.
func shortPath(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

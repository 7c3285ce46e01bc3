package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/cmd/anabranch/send"
	"anabranch/cmd/anabranch/server"
	"anabranch/fault"
	"anabranch/internal/clock"
)

func newDemo() *cobra.Command {
	d := &demo{}
	var logLevel string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Nine months of a real shop, from files to an exact merged answer, with a proof",
		Long: `Demo starts everything embedded in a folder of its own, applies examples/retail,
sends 190 days as history and runs the nightly batch as a Temporal workflow
while further days arrive live; sends some days twice and some lines months
late; backfills a month; and compares every view with what an independent
program computed, row by row. It exits 1 when a single number differs.`,
		Example: "  anabranch demo --dir .anabranch/demo",
		Args:    exactly(0, "nothing"),
		RunE: func(c *cobra.Command, _ []string) error {
			d.out, d.errOut = c.OutOrStdout(), c.ErrOrStderr()
			return d.run(c.Context(), logLevel)
		},
	}
	c.Flags().StringVar(&d.dir, "dir", ".anabranch/demo", "folder for the state; what an earlier demo left there is removed")
	c.Flags().StringVar(&d.example, "example", "examples/retail", "folder of the retail pipeline with its data and truth")
	c.Flags().StringVar(&d.config.Temporal, "temporal-address", "", "address of a Temporal server to use, instead of one of our own")
	c.Flags().StringVar(&d.config.TemporalUI, "temporal-ui", "", "URL of the UI that belongs to --temporal-address")
	c.Flags().StringVar(&logLevel, "log", "error", "debug, info, warn or error")
	return c
}

// demo tells its story step by step; each step is a method.
type demo struct {
	dir, example string
	config       server.Config
	out, errOut  io.Writer
	began        time.Time

	server *server.Server
	client *client.Client
	sender *send.Sender
	files  []string
}

// What the demo does with the 219 day files.
const (
	historyDays = 190          // sent before the first batch
	liveDuring  = 12           // of the rest, sent while the batch runs
	lateLines   = 40           // lines held back from the first day, sent at the very end
	backfillOf  = "2011-03"    // the month computed again
	demoMark    = "demo.state" // a folder with this file is ours to remove
)

func (d *demo) run(ctx context.Context, logLevel string) error {
	d.began = time.Now()
	if err := d.prepare(); err != nil {
		return err
	}
	logger, err := newLogger(logLevel, d.errOut)
	if err != nil {
		return err
	}
	c := d.config
	c.Dir, c.Listen, c.NATSListen, c.TemporalListen, c.Logger = d.dir, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", logger
	if c.Temporal == "" {
		c.TemporalUI = "127.0.0.1:0"
	}
	c.TemporalBinary = os.Getenv(temporalBinaryEnv)
	c.Progress = func(line string) { d.say("%s", line) }
	d.say("starting log, object store and Temporal in %s", shortPath(d.dir))
	if d.server, err = server.Start(ctx, c); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer d.server.Stop()
	a := d.server.Addresses()
	d.say("ready: HTTP %s, Temporal UI %s", a.HTTP, a.TemporalUI)
	d.client = client.New(a.HTTP)
	d.sender = &send.Sender{Client: d.client, Pipeline: "retail", Patience: time.Minute}
	for _, step := range []func(context.Context) error{d.apply, d.history, d.nightlyWhileLive, d.rest, d.backfill, d.proof} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.next(a)
	return nil
}

// say prints one line with the time since the start.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "%6.1f s  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// prepare finds the example and empties the folder of an earlier demo.
func (d *demo) prepare() error {
	var err error
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	d.files, err = filepath.Glob(filepath.Join(d.example, "data", "*.csv.gz"))
	if err != nil || len(d.files) <= historyDays+liveDuring {
		return fault.New(fault.Invalid, "%s holds %d day files, the demo wants more than %d: run it in the project's folder, or name the folder with --example", filepath.Join(d.example, "data"), len(d.files), historyDays+liveDuring)
	}
	mark := filepath.Join(d.dir, demoMark)
	if entries, err := os.ReadDir(d.dir); err == nil && len(entries) > 0 {
		if _, err := os.Stat(mark); err != nil {
			return fault.New(fault.Invalid, "%s holds something that is not an earlier demo's: name another folder with --dir", shortPath(d.dir))
		}
		if err := os.RemoveAll(d.dir); err != nil {
			return fmt.Errorf("remove the earlier demo: %w", err)
		}
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	return os.WriteFile(mark, []byte("The demo may remove this folder.\n"), 0o644)
}

func (d *demo) apply(ctx context.Context) error {
	a, err := applyFolder(ctx, d.client, d.example, api.Ways{})
	if err != nil {
		return err
	}
	d.say("applied %s: views %s over %d partitions", a.Pipeline, strings.Join(a.Views, ", "), a.Partitions)
	return nil
}

func (d *demo) history(ctx context.Context) error {
	if err := d.send(ctx, "history", d.files[:historyDays], true); err != nil {
		return err
	}
	return d.show(ctx, "after the history, all of it from speed")
}

// send posts whole day files, four at a time, and tells every second how far
// it is. The last lines of the very first day are kept for the end.
func (d *demo) send(ctx context.Context, what string, files []string, holdBack bool) error {
	var total sums
	stop := d.ticker(func() {
		d.say("sending %s: %d of %d days, %d events", what, total.files(), len(files), total.accepted())
	})
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, name := range files {
		g.Go(func() error {
			if holdBack && i == 0 {
				return d.sendPart(gctx, name, &total, func(lines []string) []string { return lines[:len(lines)-lateLines] })
			}
			return sendFile(gctx, d.sender, sendOptions{chunk: 4 << 20}, name, nil, io.Discard, &total)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	d.say("sent %s: %d days, %d events accepted, %d dead letters", what, len(files), total.accepted(), total.dead())
	return nil
}

// ticker calls fn every second until stopped.
func (d *demo) ticker(fn func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-clock.Wall.After(time.Second):
				fn()
			}
		}
	}()
	return func() { cancel(); <-done }
}

// sendPart posts some lines of a file under its header.
func (d *demo) sendPart(ctx context.Context, name string, total *sums, pick func(lines []string) []string) error {
	in, format, err := send.Open(name, "", nil, io.Discard)
	if err != nil {
		return err
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(strings.TrimRight(string(text), "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	body := lines[0] + strings.Join(pick(lines[1:]), "")
	a, err := d.sender.Post(ctx, filepath.Base(name), format, send.Chunk{Body: []byte(body), FirstLine: 2, Header: 1})
	if err != nil {
		return err
	}
	total.add(name, a)
	total.oneFile()
	return nil
}

// nightlyWhileLive runs the batch and keeps sending meanwhile: the answers in
// between are exact as well.
func (d *demo) nightlyWhileLive(ctx context.Context) error {
	var r api.Run
	if err := d.client.JSON(ctx, http.MethodPost, "/v1/pipelines/retail/batches", api.StartBatch{Reason: "demo", By: me()}, &r); err != nil {
		return err
	}
	d.say("nightly batch started: %s", r.UI)
	live := d.files[historyDays : historyDays+liveDuring]
	for i, name := range live {
		var total sums
		if err := sendFile(ctx, d.sender, sendOptions{chunk: 4 << 20}, name, nil, io.Discard, &total); err != nil {
			return err
		}
		if i%4 == 3 {
			if err := d.show(ctx, "live, while the batch runs"); err != nil {
				return err
			}
		}
	}
	return d.finish(ctx, r)
}

// finish waits for a run and tells how it went on.
func (d *demo) finish(ctx context.Context, r api.Run) error {
	stop := d.ticker(func() { d.say("%s: %s, %d of %d", r.Kind, r.Phase, r.Done, r.Total) })
	defer stop()
	for r.State == "running" {
		var now api.Run
		if err := d.client.JSON(ctx, http.MethodGet, "/v1/runs/"+url.PathEscape(r.ID), nil, &now); err != nil {
			return err
		}
		if r = now; r.State != "running" {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clock.Wall.After(50 * time.Millisecond):
		}
	}
	if r.State != "completed" {
		return fmt.Errorf("%s %s %s: %s", r.Kind, r.ID, r.State, r.Error)
	}
	d.say("%s published manifest %d at barrier %d", r.Kind, r.Manifest, r.Barrier)
	return nil
}

// rest sends the remaining days, some days again, and the lines held back.
func (d *demo) rest(ctx context.Context) error {
	if err := d.show(ctx, "batch below the cut, speed above it"); err != nil {
		return err
	}
	if err := d.send(ctx, "the remaining days", d.files[historyDays+liveDuring:], false); err != nil {
		return err
	}
	again := []string{d.files[3], d.files[100], d.files[historyDays+2], d.files[len(d.files)-1]}
	if err := d.send(ctx, "four days a second time", again, false); err != nil {
		return err
	}
	var late sums
	err := d.sendPart(ctx, d.files[0], &late, func(lines []string) []string { return lines[len(lines)-lateLines:] })
	if err != nil {
		return err
	}
	d.say("sent %d lines of the first day, nine months late", late.accepted()+late.dead())
	return d.show(ctx, "with the duplicates and the late lines")
}

func (d *demo) backfill(ctx context.Context) error {
	first, err := time.Parse("2006-01", backfillOf)
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	req := api.StartBackfill{From: first.Format(time.DateOnly), To: first.AddDate(0, 1, -1).Format(time.DateOnly), Reason: "demo: compute a month again", By: me()}
	var r api.Run
	if err := d.client.JSON(ctx, http.MethodPost, "/v1/pipelines/retail/backfills", req, &r); err != nil {
		return err
	}
	d.say("backfill of %s started: %s", backfillOf, r.UI)
	return d.finish(ctx, r)
}

// show prints how the merged views stand.
func (d *demo) show(ctx context.Context, when string) error {
	rows, err := queryCSV(ctx, d.client, "SELECT count(*), sum(lines), printf('%.2f', sum(net_milli) / 1000), max(day) FROM retail.day")
	if err != nil {
		return err
	}
	if len(rows) == 2 {
		d.say("retail.day: %s days, %s lines, net %s GBP, up to %s (%s)", rows[1][0], rows[1][1], rows[1][2], rows[1][3], when)
	}
	return nil
}

// next tells what to try now.
func (d *demo) next(a api.Addresses) {
	dir := shortPath(d.dir)
	fmt.Fprintf(d.out, `
The state is in %[1]s. Start it again with the first command, then try the others:
  bin/anabranch dev --dir %[1]s
  bin/anabranch query --dir %[1]s 'SELECT country, sum(net_milli) AS net_milli FROM retail.country_day GROUP BY country ORDER BY net_milli DESC LIMIT 5'
  bin/anabranch verify retail --dir %[1]s
While it runs, the Temporal UI with the runs above is at http://127.0.0.1:8233 (in this demo it was %[2]s).
`, dir, a.TemporalUI)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/cmd/anabranch/send"
)

// sendOptions are the flags of send.
type sendOptions struct {
	asking
	format, lane    string
	parallel, chunk int
	patience        time.Duration
	quiet           bool
}

func newSend() *cobra.Command {
	var o sendOptions
	c := &cobra.Command{
		Use:   "send PIPELINE FILE...",
		Short: "Send files of events through the public gateway",
		Long: `Send files of events: CSV with a header, NDJSON, or a JSON array; plain, gzip or
zstd; "-" is standard input. What is acknowledged is durable. Sending a file
again is safe: an event counts once. Lines that cannot be accepted become dead
letters, and the rest goes on.`,
		Example: `  anabranch send retail examples/retail/data/*.csv.gz
  zcat more.csv.gz | anabranch send retail --format csv -`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly(2, "a pipeline and at least one file")(c, args)
			}
			return nil
		},
		RunE: o.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			return runSend(c.Context(), c, cl, p, o, args[0], args[1:])
		}),
	}
	o.asking.flags(c)
	c.Flags().StringVar(&o.format, "format", "", "csv, ndjson or json; from the file's name when not given")
	c.Flags().StringVar(&o.lane, "lane", "", "lane of the pipeline, such as live or history")
	c.Flags().IntVar(&o.parallel, "parallel", 4, "files sent at the same time")
	c.Flags().IntVar(&o.chunk, "chunk-bytes", 4<<20, "size of one request")
	c.Flags().DurationVar(&o.patience, "patience", time.Minute, "how long to wait for a server that is away or busy")
	c.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "no progress bar")
	return c
}

// sums is what a send came to.
type sums struct {
	Files        int64  `json:"files"`
	Accepted     int64  `json:"accepted"`
	Duplicate    *int64 `json:"duplicate"` // of the accepted: events that were known already; null: not known
	DeadLettered int64  `json:"dead_lettered"`

	mu       sync.Mutex // guards errors
	errors   []string
	notShown int64
}

func runSend(ctx context.Context, c *cobra.Command, cl *client.Client, p *printer, o sendOptions, pipeline string, files []string) error {
	if err := cl.JSON(ctx, http.MethodGet, "/v1/pipelines/"+pipeline, nil, nil); err != nil {
		return err
	}
	// A gateway that stands alone has no ledger: duplicates are then unknown.
	before, noLedger := ledgerOf(ctx, cl, pipeline, "")
	bar := newBar(c.ErrOrStderr(), files, o.quiet)
	var total sums
	if err := sendFiles(ctx, cl, o, pipeline, files, c.InOrStdin(), bar, &total); err != nil {
		_ = bar.Exit()
		return fmt.Errorf("%w; %d events of this run are acknowledged and durable, and sending everything again counts none twice", err, total.Accepted)
	}
	_ = bar.Finish()
	duplicate := "unknown"
	if after, err := settledLedger(ctx, cl, pipeline); err == nil && noLedger == nil {
		n := min(max(after.Duplicate-before.Duplicate, 0), total.Accepted)
		total.Duplicate, duplicate = &n, strconv.FormatInt(n, 10)
	}
	for _, e := range total.errors {
		fmt.Fprintln(c.ErrOrStderr(), e)
	}
	if total.notShown > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "... and %d more: anabranch deadletters ls %s\n", total.notShown, pipeline)
	}
	return p.value(&total, []string{"files", "accepted", "duplicate", "dead_lettered"},
		[][]string{{strconv.FormatInt(total.Files, 10), strconv.FormatInt(total.Accepted, 10), duplicate, strconv.FormatInt(total.DeadLettered, 10)}})
}

// newBar shows how much of the files has been read; it counts bytes when all
// files have a size, and just moves otherwise.
func newBar(out io.Writer, files []string, quiet bool) *progressbar.ProgressBar {
	var size int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			size = -1
			break
		}
		size += info.Size()
	}
	if f, ok := out.(*os.File); quiet || !ok || !term.IsTerminal(int(f.Fd())) {
		out = io.Discard
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription("sending"),
		progressbar.OptionShowBytes(true), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
}

// sendFiles sends the files, several at a time, and adds up the answers.
func sendFiles(ctx context.Context, cl *client.Client, o sendOptions, pipeline string, files []string, stdin io.Reader, progress io.Writer, total *sums) error {
	var waiting atomic.Bool
	sender := &send.Sender{Client: cl, Pipeline: pipeline, Lane: o.lane, Patience: o.patience, Waiting: func(err error) {
		if !waiting.Swap(true) {
			fmt.Fprintf(os.Stderr, "\nwaiting: %v; nothing is lost, trying again for %s\n", err, o.patience)
		}
	}}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(o.parallel, 1))
	for _, name := range files {
		g.Go(func() error { return sendFile(ctx, sender, o, name, stdin, progress, total) })
	}
	return g.Wait()
}

func sendFile(ctx context.Context, sender *send.Sender, o sendOptions, name string, stdin io.Reader, progress io.Writer, total *sums) error {
	in, format, err := send.Open(name, send.Format(o.format), stdin, progress)
	if err != nil {
		return err
	}
	defer in.Close()
	split := send.NewSplitter(in, format, o.chunk)
	for {
		chunk, err := split.Next()
		if errors.Is(err, io.EOF) {
			atomic.AddInt64(&total.Files, 1)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		answer, err := sender.Post(ctx, filepath.Base(name), format, chunk)
		if err != nil {
			return err
		}
		total.add(name, answer)
	}
}

// shownErrors bounds how many refused lines are printed.
const shownErrors = 10

func (t *sums) add(file string, a api.Answer) {
	atomic.AddInt64(&t.Accepted, a.Accepted)
	atomic.AddInt64(&t.DeadLettered, a.DeadLettered)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range a.Errors {
		if len(t.errors) == shownErrors {
			break
		}
		t.errors = append(t.errors, formatPlace(api.Place{File: file, Line: e.Line, Column: e.Column, Message: e.Code + ": " + e.Message}))
	}
	t.notShown = t.DeadLettered - int64(len(t.errors))
}

func (t *sums) oneFile()        { atomic.AddInt64(&t.Files, 1) }
func (t *sums) files() int64    { return atomic.LoadInt64(&t.Files) }
func (t *sums) accepted() int64 { return atomic.LoadInt64(&t.Accepted) }
func (t *sums) dead() int64     { return atomic.LoadInt64(&t.DeadLettered) }

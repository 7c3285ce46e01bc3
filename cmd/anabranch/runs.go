package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
	"anabranch/internal/clock"
)

func newBatch() *cobra.Command {
	var a asking
	var req api.StartBatch
	w := waiting{wait: true, person: true}
	c := &cobra.Command{
		Use:   "batch PIPELINE",
		Short: "Run the nightly batch now and wait for it",
		Long: `Run the nightly batch now, as a Temporal workflow, and wait for it. Interrupting
the command leaves the batch running.

For a scheduler such as cron or Airflow: one --key is one run. A second start
with it joins the first while that runs, and takes its result when it has ended
well; when it failed or was cancelled it is started again. (Temporal forgets
runs, and with them their keys, some time after their end: our own after 30
days.) Progress goes to standard error, the outcome to standard output, as JSON
with -o json. The exit code tells how it ended:

  0    it ended well
  1    it failed or was cancelled
  2    it was refused: the command line is wrong
  3    nobody answers: start the command again later, with the same key
  4    there is no such pipeline
  5    it still ran when --timeout was over; it goes on
  6    it waits for a person, for example for an approval; it goes on after that
  130  the command was interrupted; the batch goes on`,
		Example: `  anabranch batch retail
  anabranch batch retail --key nightly-2011-08-31 --wait --timeout 2h -o json
  anabranch batch retail --date 2011-08-31          # its key is nightly-2011-08-31`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return w.startRun(c, cl, p, "/v1/pipelines/"+url.PathEscape(args[0])+"/batches", req)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&req.Key, "key", "", "name of this run, for schedulers: one key, one run")
	c.Flags().StringVar(&req.Date, "date", "", "data date, YYYY-MM-DD: the day whose end the batch follows; kept with the version")
	c.Flags().BoolVar(&req.Again, "again", false, "compute the events of --date again, too")
	c.Flags().StringVar(&req.Reason, "reason", "started by hand", "why, kept with the version it publishes")
	c.Flags().BoolVar(&w.wait, "wait", true, "wait for its end")
	c.Flags().BoolVar(&w.detach, "detach", false, "start it and do not wait: --wait=false")
	c.Flags().DurationVar(&w.timeout, "timeout", 0, "how long to wait at most, such as 2h; the batch goes on after that")
	c.MarkFlagsMutuallyExclusive("wait", "detach")
	return c
}

// me names who asks, for the history of versions.
func me() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// waiting says how long a command follows the run that it starts.
type waiting struct {
	wait, detach bool          // detach wins
	timeout      time.Duration // 0: as long as it takes
	person       bool          // only until the run waits for a person
	// row tells what a run came to; nil: as a batch.
	row func(r api.Run, out io.Writer) (columns, row []string)
}

// startFlags adds the flags of every command that starts a run by hand.
func startFlags(c *cobra.Command, reason, key *string, detach *bool) {
	c.Flags().StringVar(reason, "reason", "started by hand", "why, kept with the run and the version it publishes")
	c.Flags().StringVar(key, "key", "", "name of this run, for schedulers: one key, one run")
	c.Flags().BoolVar(detach, "detach", false, "start it and do not wait")
}

func batchRow(r api.Run, _ io.Writer) (columns, row []string) {
	return []string{"run", "kind", "state", "manifest", "barrier", "rows"},
		[]string{r.ID, r.Kind, r.State, strconv.FormatUint(r.Manifest, 10), strconv.FormatUint(r.Barrier, 10), strconv.FormatInt(r.Rows, 10)}
}

// startRun starts a run and follows it to its end, unless detached.
func startRun(c *cobra.Command, cl *client.Client, p *printer, detach bool, path string, req any) error {
	return waiting{wait: true, detach: detach}.startRun(c, cl, p, path, req)
}

func (w waiting) startRun(c *cobra.Command, cl *client.Client, p *printer, path string, req any) error {
	if w.timeout < 0 {
		return fault.New(fault.Invalid, "--timeout %s: want a time such as 2h", w.timeout)
	}
	var r api.Run
	if err := cl.JSON(c.Context(), http.MethodPost, path, req, &r); err != nil {
		return err
	}
	if r.UI != "" {
		fmt.Fprintln(c.ErrOrStderr(), "follow it in the Temporal UI:", r.UI)
	}
	var early error
	if w.wait && !w.detach {
		if r, early = w.follow(c.Context(), cl, r, c.ErrOrStderr()); early != nil && !errors.As(early, new(exit)) {
			return early
		}
	}
	if w.row == nil {
		w.row = batchRow
	}
	columns, row := w.row(r, c.ErrOrStderr())
	if err := p.value(r, columns, [][]string{row}); err != nil {
		return err
	}
	if s := r.Progress; r.State == "completed" && s != nil && s.Note != "" {
		fmt.Fprintln(c.ErrOrStderr(), s.Note)
		if r.Manifest == 0 && s.Review != nil { // a dry run: the comparison is what it was for
			fmt.Fprintln(c.ErrOrStderr(), s.Review.Markdown)
		}
	}
	if r.State != "completed" && r.State != "running" {
		fmt.Fprintf(c.ErrOrStderr(), "anabranch: %s %s: %s\n", r.ID, r.State, r.Error)
		return errDiffers
	}
	return early
}

// runPatience is how long a command that follows a run waits for a server that
// is away: the run goes on by itself when the server is back.
const runPatience = time.Minute

// follow asks for a run until it has ended. On a terminal progress stays on
// one line; elsewhere each phase is told once.
func (w waiting) follow(ctx context.Context, cl *client.Client, r api.Run, out io.Writer) (api.Run, error) {
	began := time.Now()
	var over <-chan time.Time // never, without a timeout
	if w.timeout > 0 {
		over = clock.Wall.After(w.timeout)
	}
	f, isFile := out.(*os.File)
	live := isFile && term.IsTerminal(int(f.Fd()))
	phase, state, away := "", "", time.Time{} // since when the server does not answer
	for r.State == "running" {
		if p := r.Progress; p != nil && p.State != state {
			if state = p.State; state != "running" {
				fmt.Fprint(out, map[bool]string{true: "\r\033[K"}[live], r.ID, ": ", state, "\n", advice(r))
			}
		}
		if w.person && forPerson(r) {
			return r, exit(exitWaits)
		}
		if live {
			fmt.Fprintf(out, "\r\033[K%s: %s %d of %d, %s", r.Kind, r.Phase, r.Done, r.Total, time.Since(began).Round(time.Second))
		} else if r.Phase != phase {
			phase = r.Phase
			fmt.Fprintf(out, "%s: %s\n", r.Kind, phase)
		}
		select {
		case <-ctx.Done():
			fmt.Fprintf(out, "\n%s goes on without this command\n", r.ID)
			return r, ctx.Err()
		case <-over:
			fmt.Fprint(out, map[bool]string{true: "\r\033[K"}[live], r.ID, " still runs after ", w.timeout, " and goes on without this command\n")
			return r, exit(exitTimeout)
		case <-clock.Wall.After(200 * time.Millisecond):
		}
		err := cl.JSON(ctx, http.MethodGet, "/v1/runs/"+url.PathEscape(r.ID), nil, &r)
		switch {
		case err == nil:
			away = time.Time{}
		case ctx.Err() != nil: // told above
		case !errors.Is(err, client.ErrUnreachable) && !fault.KindOf(err).Retryable():
			return r, err
		case away.IsZero():
			away = time.Now()
			fmt.Fprintf(out, "%s: waiting for the server: %v\n", r.ID, err)
		case time.Since(away) > runPatience:
			return r, fmt.Errorf("%s goes on when the server does: %w", r.ID, err)
		}
	}
	if live {
		fmt.Fprint(out, "\r\033[K")
	}
	return r, nil
}

// forPerson reports whether a run waits for a person to decide or to mend
// something. One that somebody paused waits for nobody else.
func forPerson(r api.Run) bool {
	return r.State == "running" && r.Progress != nil && r.Progress.Waits != "" && r.Progress.Waits != "resume"
}

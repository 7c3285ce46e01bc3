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
	var detach bool
	c := &cobra.Command{
		Use:   "batch PIPELINE",
		Short: "Run the nightly batch now and wait for it",
		Long: `Run the nightly batch now, as a Temporal workflow, and wait for it. With --key a
second start joins the first, so that a scheduler may repeat it. Interrupting
the command leaves the batch running.`,
		Example: `  anabranch batch retail
  anabranch batch retail --key nightly-2011-08-31`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return startRun(c, cl, p, detach, "/v1/pipelines/"+args[0]+"/batches", req)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&req.Key, "key", "", "name of this run, for schedulers: one key, one run")
	c.Flags().StringVar(&req.Reason, "reason", "started by hand", "why, kept with the version it publishes")
	c.Flags().BoolVar(&detach, "detach", false, "start it and do not wait")
	return c
}

// me names who asks, for the history of versions.
func me() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// startRun starts a run and follows it to its end.
func startRun(c *cobra.Command, cl *client.Client, p *printer, detach bool, path string, req any) error {
	var r api.Run
	if err := cl.JSON(c.Context(), http.MethodPost, path, req, &r); err != nil {
		return err
	}
	if r.UI != "" {
		fmt.Fprintln(c.ErrOrStderr(), "follow it in the Temporal UI:", r.UI)
	}
	if !detach {
		var err error
		if r, err = follow(c.Context(), cl, r, c.ErrOrStderr()); err != nil {
			return err
		}
	}
	row := []string{r.ID, r.Kind, r.State, strconv.FormatUint(r.Manifest, 10), strconv.FormatUint(r.Barrier, 10), strconv.FormatInt(r.Rows, 10)}
	if err := p.value(r, []string{"run", "kind", "state", "manifest", "barrier", "rows"}, [][]string{row}); err != nil {
		return err
	}
	if r.State != "completed" && r.State != "running" {
		fmt.Fprintf(c.ErrOrStderr(), "anabranch: %s %s: %s\n", r.ID, r.State, r.Error)
		return errDiffers
	}
	return nil
}

// runPatience is how long a command that follows a run waits for a server that
// is away: the run goes on by itself when the server is back.
const runPatience = time.Minute

// follow asks for a run until it has ended. On a terminal progress stays on
// one line; elsewhere each phase is told once.
func follow(ctx context.Context, cl *client.Client, r api.Run, out io.Writer) (api.Run, error) {
	began := time.Now()
	f, isFile := out.(*os.File)
	live := isFile && term.IsTerminal(int(f.Fd()))
	phase, state, away := "", "", time.Time{} // since when the server does not answer
	for r.State == "running" {
		if p := r.Progress; p != nil && p.State != state {
			if state = p.State; state != "running" {
				fmt.Fprint(out, map[bool]string{true: "\r\033[K"}[live], r.ID, ": ", state, "\n", advice(r))
			}
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

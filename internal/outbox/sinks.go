package outbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Parse returns the sink that a flag names: an http or https URL that gets the
// JSON by POST, "exec:PROGRAM ARG..." that gets it on standard input,
// "file:PATH" that grows by a line of it, or "log". $NAME in a URL is taken
// from the environment, so that no secret stands on a command line. The error
// is Invalid.
func Parse(text string, log *slog.Logger, env func(string) string) (Sink, error) {
	bad := func(why string) error {
		return invalid(fmt.Sprintf("receiver %q: %s: want a URL, exec:PROGRAM ARG..., file:PATH or log", text, why))
	}
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "log":
		if rest != "" {
			return nil, bad("nothing follows log")
		}
		return logSink{log}, nil
	case "exec":
		args := strings.Fields(rest)
		if len(args) == 0 {
			return nil, bad("no program is named")
		}
		path, err := exec.LookPath(args[0])
		if err != nil {
			return nil, bad(err.Error())
		}
		return execSink{path, args[1:]}, nil
	case "file":
		if rest == "" {
			return nil, bad("no file is named")
		}
		return fileSink(strings.TrimPrefix(rest, "//")), nil
	case "http", "https":
		u, err := url.Parse(os.Expand(text, env))
		if err != nil || u.Host == "" {
			return nil, bad("that is no URL")
		}
		return &httpSink{url: u, client: &http.Client{}}, nil
	}
	return nil, bad("it is of no known kind")
}

// invalid tells package fault its kind, which this package is too low to
// import.
type invalid string

func (e invalid) Error() string { return string(e) }

func (invalid) FaultKind() string { return "invalid" }

type logSink struct{ log *slog.Logger }

func (s logSink) String() string { return "log" }

func (s logSink) Deliver(_ context.Context, m Message) error {
	s.log.Error(m.Text)
	return nil
}

// fileSink appends a line for each message.
type fileSink string

func (s fileSink) String() string { return "file:" + string(s) }

func (s fileSink) Deliver(_ context.Context, m Message) error {
	f, err := os.OpenFile(string(s), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(append(bytes.Clone(m.Body), '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

type execSink struct {
	path string
	args []string
}

func (s execSink) String() string { return "exec:" + s.path }

func (s execSink) Deliver(ctx context.Context, m Message) error {
	c := exec.CommandContext(ctx, s.path, s.args...)
	c.Stdin = bytes.NewReader(m.Body)
	c.Env = append(os.Environ(), "ANABRANCH_TEXT="+m.Text)
	c.WaitDelay = time.Second // for children of it that keep its output open
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out[:min(len(out), 500)])))
	}
	return nil
}

type httpSink struct {
	url    *url.URL
	client *http.Client
}

// String leaves out path and query: hooks have their secrets there.
func (s *httpSink) String() string { return s.url.Scheme + "://" + s.url.Host }

func (s *httpSink) Deliver(ctx context.Context, m Message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.String(), bytes.NewReader(m.Body))
	if err != nil {
		return backoff.Permanent(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		if e, ok := err.(*url.Error); ok { //nolint:errorlint // Do returns it unwrapped, and its text has the URL
			err = e.Err
		}
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
	if resp.StatusCode < 300 {
		return nil
	}
	err = fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		if seconds, e := strconv.Atoi(resp.Header.Get("Retry-After")); e == nil && seconds > 0 {
			return backoff.RetryAfter(min(seconds, 300))
		}
		return err
	case resp.StatusCode == http.StatusRequestTimeout:
		return err
	}
	return backoff.Permanent(err)
}

// Package client talks to a running Anabranch over HTTP for the command line.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// ErrUnreachable says that nobody listens where the server should be.
var ErrUnreachable = errors.New("nobody answers")

// Client asks one server.
type Client struct {
	base     string
	http     *http.Client
	patience time.Duration
}

// New returns a client of the server at base, for example
// "http://127.0.0.1:8080".
func New(base string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), http: &http.Client{}, patience: dialPatience}
}

// Find returns a client of the server named by a URL, or else of the one that
// runs in dir, which it learns from dir/addresses.json.
func Find(server, dir string) (*Client, error) {
	if server != "" {
		if !strings.Contains(server, "://") {
			server = "http://" + server
		}
		if u, err := url.Parse(server); err != nil || u.Host == "" {
			return nil, fault.New(fault.Invalid, "--server %q is not a URL such as http://127.0.0.1:8080", server)
		}
		return New(server), nil
	}
	path := filepath.Join(dir, "addresses.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("nothing runs in %s (no addresses.json there): start it with `anabranch dev --dir %s`, or name a server with --server: %w", dir, dir, ErrUnreachable)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var a api.Addresses
	if err := json.Unmarshal(text, &a); err != nil || a.HTTP == "" {
		return nil, fault.New(fault.Corrupt, "%s does not hold addresses: start `anabranch dev --dir %s` again", path, dir)
	}
	return New(a.HTTP), nil
}

// Base returns the server's URL.
func (c *Client) Base() string { return c.base }

// Error is a server's refusal.
type Error struct {
	Problem    api.Problem
	RetryAfter string
}

func (e *Error) Error() string {
	if e.Problem.Detail != "" {
		return e.Problem.Detail
	}
	return e.Problem.Title
}

// FaultKind tells package fault what the status means.
func (e *Error) FaultKind() string {
	switch s := e.Problem.Status; {
	case s == http.StatusNotFound:
		return "not_found"
	case s == http.StatusTooManyRequests:
		return "throttled"
	case s == http.StatusInsufficientStorage:
		return "full"
	case s == http.StatusConflict:
		return "conflict"
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return "denied"
	case s >= 500:
		return "transient"
	}
	return "invalid"
}

// Do sends a request whose body can be sent again, and returns the response
// when the server agreed. Otherwise the error is an *Error, or wraps
// ErrUnreachable when nobody listens there, or is Transient.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	resp, err := c.send(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	e := &Error{RetryAfter: resp.Header.Get("Retry-After")}
	if json.Unmarshal(text, &e.Problem) != nil || e.Problem.Title == "" && e.Problem.Detail == "" {
		e.Problem.Title = fmt.Sprintf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(text)))
	}
	e.Problem.Status = resp.StatusCode
	return nil, e
}

// dialPatience is how long no connection may come about though nobody refuses
// it, and dialPause what comes between two attempts.
const (
	dialPatience = 30 * time.Second
	dialPause    = 250 * time.Millisecond
)

// send sends a request, anew where there was no connection to send it on:
// nobody has seen it then.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	for failing := (time.Time{}); ; {
		req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err)
		}
		for k, v := range header {
			req.Header[k] = v
		}
		resp, err := c.http.Do(req)
		var op *net.OpError
		switch {
		case err == nil:
			return resp, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.As(err, &op) || op.Op != "dial":
			return nil, fault.Wrap(fault.Transient, fmt.Errorf("%s %s: %w", method, path, err))
		case !passes(op):
			return nil, fmt.Errorf("%s: %w (%w): is it running? `anabranch dev` starts it", c.base, ErrUnreachable, op.Err)
		}
		switch now := time.Now(); {
		case failing.IsZero():
			failing = now
		case now.Sub(failing) >= c.patience:
			return nil, fault.WithHint(fault.Wrap(fault.Transient, fmt.Errorf("%s: no connection comes about, and nobody refuses it: %w", c.base, op.Err)),
				"the server or this machine is very busy, or what lies between them lets nothing pass")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-clock.Wall.After(dialPause):
		}
	}
}

// passes reports whether a connection may come about a moment later. One that
// took too long tells nothing about the server: a machine that stood still or
// was very busy has its timeouts all at once. Nor does the want of a port, of
// a file or of memory.
func passes(op *net.OpError) bool {
	if op.Timeout() {
		return true
	}
	for _, short := range []error{syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(op, short) {
			return true
		}
	}
	return false
}

// JSON sends in (nil for none) and decodes the answer into out (nil to drop
// it).
func (c *Client) JSON(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	header := http.Header{"Accept": {"application/json"}}
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fault.Wrap(fault.Bug, err)
		}
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

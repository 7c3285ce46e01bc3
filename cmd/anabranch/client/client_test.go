package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"anabranch/fault"
)

// TestDial has connections fail, by how they may.
func TestDial(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		name     string
		err      error
		times    int // that it fails
		patience time.Duration
		check    func(error) bool
	}{
		{"it took too long", os.ErrDeadlineExceeded, 2, time.Hour, isNil},
		{"no port is left", syscall.EADDRNOTAVAIL, 1, time.Hour, isNil},
		{"no file is left", syscall.EMFILE, 1, time.Hour, isNil},
		{"refused", syscall.ECONNREFUSED, 1, time.Hour, func(err error) bool {
			return errors.Is(err, ErrUnreachable) && strings.Contains(err.Error(), "connection refused")
		}},
		{"no such host", &net.DNSError{Err: "no such host", Name: "nowhere", IsNotFound: true}, 1, time.Hour, func(err error) bool {
			return errors.Is(err, ErrUnreachable) && strings.Contains(err.Error(), "nowhere")
		}},
		{"it always takes too long", os.ErrDeadlineExceeded, 1000, 0, func(err error) bool {
			return !errors.Is(err, ErrUnreachable) && fault.Is(err, fault.Transient) && strings.Contains(err.Error(), "i/o timeout")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var dialled atomic.Int64
			transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if n := dialled.Add(1); n <= int64(c.times) {
					return nil, &net.OpError{Op: "dial", Net: network, Err: c.err}
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}}
			defer transport.CloseIdleConnections()
			cl := New(server.URL)
			cl.http.Transport, cl.patience = transport, c.patience
			if err := cl.JSON(t.Context(), http.MethodPost, "/", struct{}{}, nil); !c.check(err) {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		if n := seen.Load(); n != 3 {
			t.Errorf("the server saw %d requests", n)
		}
	})
}

func isNil(err error) bool { return err == nil }

// TestGivenUp ends a context while no connection comes about.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cl := New("http://127.0.0.1:1")
	cl.patience = time.Hour
	cl.http.Transport = &http.Transport{DialContext: func(_ context.Context, network, _ string) (net.Conn, error) {
		cancel()
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}}
	if err := cl.JSON(ctx, http.MethodGet, "/", nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

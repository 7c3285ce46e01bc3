package lifecycle

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
)

type recorder struct {
	name string
	log  *[]string
	err  error
}

func (r recorder) Start(context.Context) error { *r.log = append(*r.log, "+"+r.name); return r.err }
func (r recorder) Stop()                       { *r.log = append(*r.log, "-"+r.name) }

func TestGroupStopsInReverse(t *testing.T) {
	t.Parallel()
	var log []string
	var g Group
	for _, n := range []string{"a", "b"} {
		if err := g.Start(t.Context(), n, recorder{n, &log, nil}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Start(t.Context(), "c", recorder{"c", &log, io.EOF}); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	g.Stop(quiet)
	g.Stop(quiet)
	if want := []string{"+a", "+b", "+c", "-c", "-b", "-a"}; !slices.Equal(log, want) {
		t.Fatalf("%v, want %v", log, want)
	}
}

func TestLoopStopWaitsAndTellsWhy(t *testing.T) {
	t.Parallel()
	var l Loop
	var cause error
	l.Go(func(ctx context.Context) { <-ctx.Done(); cause = context.Cause(ctx) })
	l.Stop()
	l.Stop()
	if !errors.Is(cause, ErrStopping) {
		t.Fatal(cause)
	}
	new(Loop).Stop()
}

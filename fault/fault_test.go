package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindSurvivesWrapping(t *testing.T) {
	t.Parallel()
	inner := New(Corrupt, "segment %s: checksum differs", "s1")
	err := fmt.Errorf("read day: %w", Wrap(Transient, fmt.Errorf("open: %w", inner)))
	if got := KindOf(err); got != Corrupt {
		t.Fatalf("kind = %v, want corrupt: the edge nearest to the cause decides", got)
	}
}

func TestKindOfForeignErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{io.EOF, Unknown},
		{nil, Unknown},
		{fmt.Errorf("x: %w", context.Canceled), Transient},
		{Wrap(Full, io.ErrShortWrite), Full},
		{fmt.Errorf("read: %w", lowError{}), Corrupt},
		{Wrap(Transient, lowError{}), Corrupt},
	} {
		if got := KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
	if Wrap(Bug, nil) != nil || WithHint(nil, "x") != nil || WithCode(nil, "x") != nil {
		t.Error("nil must stay nil")
	}
}

func TestHintAndCode(t *testing.T) {
	t.Parallel()
	err := WithHint(WithCode(New(Invalid, "unknown view %q", "dya"), "unknown_view"), "did you mean %q?", "day")
	if CodeOf(err) != "unknown_view" || !Is(err, Invalid) {
		t.Fatalf("code %q kind %v", CodeOf(err), KindOf(err))
	}
	if want := `unknown view "dya": did you mean "day"?`; err.Error() != want {
		t.Fatalf("%q, want %q", err, want)
	}
	if !errors.As(err, new(*Error)) {
		t.Fatal("not an *Error")
	}
}

type lowError struct{}

func (lowError) Error() string     { return "low" }
func (lowError) FaultKind() string { return "corrupt" }

package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"anabranch/fault"
	"anabranch/internal/clock"
)

// patience is how long a server that this program needs may be away at the
// start.
const patience = time.Minute

// patiently calls fn until it succeeds, fails for a reason that does not pass
// by itself, or patience is over. It says once what it waits for.
func patiently[T any](ctx context.Context, c Config, what string, fn func(context.Context) (T, error)) (T, error) {
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for told := false; ; told = true {
		out, err := fn(until)
		if err == nil || ctx.Err() != nil || !fault.KindOf(err).Retryable() {
			return out, err
		}
		if !told {
			c.Progress(fmt.Sprintf("%s does not answer: %v; trying for %s", what, err, patience))
		}
		select {
		case <-until.Done():
			return out, fmt.Errorf("%s does not answer: %w", what, err)
		case <-clock.Wall.After(time.Second):
		}
	}
}

// trouble logs when something begins to fail and when it works again, and not
// each time in between.
type trouble struct {
	logger *slog.Logger
	what   string
	since  time.Time
}

func (t *trouble) see(err error) {
	switch {
	case err != nil && t.since.IsZero():
		t.since = time.Now()
		t.logger.Error(t.what+" fails; trying again until it works", "error", err)
	case err == nil && !t.since.IsZero():
		t.logger.Warn(t.what+" works again", "failed_for", time.Since(t.since).Round(time.Second))
		t.since = time.Time{}
	}
}

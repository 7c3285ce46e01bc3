// Command anabranch keeps views over a stream of events: exact, fresh and
// recomputable. `anabranch help` lists what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

// Exit codes that scripts can rely on; `anabranch help exit-codes` prints them.
const (
	exitDiffers     = 1 // it ran, and the outcome is bad: a difference, a failed run, an imbalance
	exitUsage       = 2 // the command line or a definition is wrong
	exitUnreachable = 3 // nobody answers, or only with "later"
	exitNotFound    = 4
	exitInterrupted = 130
)

// errDiffers ends a command whose output has already told what is wrong.
var errDiffers = errors.New("the outcome is bad")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root, began := newRoot()
	err := root.ExecuteContext(ctx)
	if err != nil && !*began && fault.Is(err, fault.Unknown) {
		// Cobra's own refusals: an unknown command, a flag that is missing.
		err = fault.WithHint(fault.Wrap(fault.Invalid, err), "see `anabranch help`")
	}
	interrupted := ctx.Err() != nil
	stop()
	os.Exit(exitCode(err, interrupted))
}

// exitCode prints err, unless it was told already, and chooses the code.
func exitCode(err error, interrupted bool) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errDiffers):
		return exitDiffers
	case interrupted && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "anabranch: interrupted")
		return exitInterrupted
	}
	printError(os.Stderr, err)
	if errors.Is(err, client.ErrUnreachable) {
		return exitUnreachable
	}
	switch fault.KindOf(err) {
	case fault.Invalid:
		return exitUsage
	case fault.NotFound:
		return exitNotFound
	case fault.Throttled, fault.Transient, fault.Full:
		return exitUnreachable
	}
	return exitDiffers
}

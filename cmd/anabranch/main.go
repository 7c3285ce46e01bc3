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
	exitUsage       = 2 // refused: the command line or a definition is wrong, or not allowed
	exitUnreachable = 3 // nobody answers, or only with "later"
	exitNotFound    = 4
	exitTimeout     = 5 // it still ran when the time to wait was over
	exitWaits       = 6 // it waits for a person
	exitInterrupted = 130
)

// errDiffers ends a command whose output has already told what is wrong.
var errDiffers = errors.New("the outcome is bad")

// exit ends a command with a code after its output has told why.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root, began := newRoot()
	err := misused(root.ExecuteContext(ctx), *began)
	interrupted := ctx.Err() != nil
	stop()
	os.Exit(exitCode(err, interrupted))
}

// misused gives Cobra's own refusals a kind: an unknown command, a flag that
// is missing.
func misused(err error, began bool) error {
	if err != nil && !began && fault.Is(err, fault.Unknown) {
		return fault.WithHint(fault.Wrap(fault.Invalid, err), "see `anabranch help`")
	}
	return err
}

// exitCode prints err, unless it was told already, and chooses the code.
func exitCode(err error, interrupted bool) int {
	var told exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &told):
		return int(told)
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
	case fault.Invalid, fault.Denied:
		return exitUsage
	case fault.NotFound:
		return exitNotFound
	case fault.Throttled, fault.Transient, fault.Full:
		return exitUnreachable
	}
	return exitDiffers
}

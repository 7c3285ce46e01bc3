package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"anabranch/activities"
	"anabranch/fault"
)

// tellPatience is how long Tell waits for a worker that takes an instruction.
const tellPatience = 10 * time.Second

// Updates returns the names of the instructions that runs take.
func Updates() []string {
	names := []string{PromoteUpdate, RollBackUpdate}
	for _, s := range steers {
		names = append(names, s.name)
	}
	return names
}

// Tell gives an instruction to a run and returns how the run then stands, in a
// sentence. Errors: Invalid (who or why is missing, or there is no such
// instruction), Conflict (the run cannot follow it as it stands, or has
// ended), NotFound, Transient (no worker took it; it is then not followed
// later either).
func Tell(ctx context.Context, c client.Client, id, update string, in Instruction) (string, error) {
	if !slices.Contains(Updates(), update) {
		return "", fault.New(fault.Invalid, "a run cannot be told to %s: want one of %s", update, strings.Join(Updates(), ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, tellPatience)
	defer cancel()
	var state string
	handle, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: update, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &state)
	}
	if err == nil {
		return state, nil
	}
	said := fmt.Sprintf("tell %s to %s", id, update)
	var refused *temporal.ApplicationError
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &refused):
		if strings.HasPrefix(refused.Message(), "unknown update") {
			return "", fault.WithCode(fault.New(fault.Conflict, "%s: a run of its kind does not do that", said), "refused")
		}
		err = activities.FromTemporal(err)
		return "", fault.WithCode(fault.New(fault.KindOf(err), "%s: %w", said, err), "refused")
	case errors.As(err, &missing):
		if _, e := c.DescribeWorkflowExecution(ctx, id, ""); e == nil {
			return "", fault.WithCode(fault.New(fault.Conflict, "%s: it has ended", said), "ended")
		}
		return "", fault.New(fault.NotFound, "there is no run %q", id)
	case ctx.Err() != nil:
		return "", fault.WithHint(fault.New(fault.Transient, "%s: no worker took it within %s", said, tellPatience), "see that a server with the worker role runs, then say it again")
	}
	return "", ofServer(fmt.Errorf("%s: %w", said, err))
}

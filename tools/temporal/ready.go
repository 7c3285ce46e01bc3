package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// readyTimeout bounds the time from listening to answering.
const readyTimeout = 90 * time.Second

// awaitReady waits until workflows can be counted (frontend and visibility
// work), the search attributes are there, and the UI answers.
func awaitReady(ctx context.Context, p *ports, attrs attributes) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	conn, err := grpc.NewClient(p.frontendAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("reach the frontend: %w", err)
	}
	defer conn.Close()
	frontend := workflowservice.NewWorkflowServiceClient(conn)
	if err := until(ctx, "count workflows", func() error {
		_, err := frontend.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace})
		return err
	}); err != nil {
		return err
	}
	operator := operatorservice.NewOperatorServiceClient(conn)
	if err := until(ctx, "add the search attributes", func() error { return addMissing(ctx, operator, attrs) }); err != nil {
		return err
	}
	return until(ctx, "ask the UI", func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.uiURL()+"/healthz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", res.Status)
		}
		return nil
	})
}

// addMissing registers the search attributes that an older start of this
// directory did not know yet.
func addMissing(ctx context.Context, operator operatorservice.OperatorServiceClient, attrs attributes) error {
	have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	missing := map[string]enums.IndexedValueType{}
	for name, t := range attrs {
		if old, ok := have.CustomAttributes[name]; !ok {
			missing[name] = t
		} else if old != t {
			return permanent{fmt.Errorf("%s is a %s in this directory, not a %s: a search attribute keeps its type, choose another name", name, old, t)}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	return err
}

// permanent marks an error that asking again does not mend.
type permanent struct{ error }

// until repeats call until it succeeds, fails for good, or ctx ends.
func until(ctx context.Context, what string, call func() error) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := call()
		if err == nil {
			return nil
		}
		if _, final := err.(permanent); final {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: no success within %s, last: %w", what, readyTimeout, err)
		}
	}
}

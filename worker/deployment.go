package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"anabranch/fault"
)

// A deployment is a fleet of workers, and a build the version of the program
// that some of them run. Temporal gives a run to the current build, or a share
// of the new runs to one that is being ramped up; a run that has begun ends on
// its build.

// Builds is what a deployment has.
type Builds struct {
	Deployment string  `json:"deployment"`
	Builds     []Build `json:"builds"` // the newest first
}

// Build is one version of the program.
type Build struct {
	ID    string    `json:"id"`
	State string    `json:"state"`           // current, ramping, draining (runs end on it), drained, waiting (it was never given any)
	Share float32   `json:"share,omitempty"` // of new runs, in percent, while ramping
	Since time.Time `json:"since"`           // when it was first seen
}

// versioned returns what makes a worker one of a build.
func versioned(deployment, build string) worker.DeploymentOptions {
	if deployment == "" {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{
		UseVersioning: true, DefaultVersioningBehavior: workflow.VersioningBehaviorPinned,
		Version: worker.WorkerDeploymentVersion{DeploymentName: deployment, BuildID: build},
	}
}

// Deployments lists the builds of a deployment. NotFound when no worker of it
// was ever there.
func Deployments(ctx context.Context, c client.Client, deployment string) (Builds, error) {
	out := Builds{Deployment: deployment}
	d, err := c.WorkerDeploymentClient().GetHandle(deployment).Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err != nil {
		return out, ofDeployment(deployment, "look at its builds", err)
	}
	routing := d.Info.RoutingConfig
	for _, v := range d.Info.VersionSummaries {
		b := Build{ID: v.Version.BuildID, State: "waiting", Since: v.CreateTime}
		switch {
		case routing.CurrentVersion != nil && routing.CurrentVersion.BuildID == b.ID:
			b.State = "current"
		case routing.RampingVersion != nil && routing.RampingVersion.BuildID == b.ID:
			b.State, b.Share = "ramping", routing.RampingVersionPercentage
		case v.DrainageStatus == client.WorkerDeploymentVersionDrainageStatusDraining:
			b.State = "draining"
		case v.DrainageStatus == client.WorkerDeploymentVersionDrainageStatusDrained:
			b.State = "drained"
		}
		out.Builds = append(out.Builds, b)
	}
	slices.SortFunc(out.Builds, func(a, b Build) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// Ramp gives a share of the new runs, in percent, to a build.
func Ramp(ctx context.Context, c client.Client, deployment, build string, percent float32) error {
	if percent <= 0 || percent > 100 {
		return fault.New(fault.Invalid, "a share of %v %%: want more than 0 and at most 100", percent)
	}
	_, err := c.WorkerDeploymentClient().GetHandle(deployment).SetRampingVersion(ctx, client.WorkerDeploymentSetRampingVersionOptions{BuildID: build, Percentage: percent})
	return ofDeployment(deployment, "ramp up build "+build, err)
}

// Promote gives all new runs to a build. Runs of the build before end there:
// its workers must stay until it is drained.
func Promote(ctx context.Context, c client.Client, deployment, build string) error {
	_, err := c.WorkerDeploymentClient().GetHandle(deployment).SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
	return ofDeployment(deployment, "promote build "+build, err)
}

// Rollback gives nothing more to the build that is being ramped up. Conflict
// when none is.
func Rollback(ctx context.Context, c client.Client, deployment string) error {
	h := c.WorkerDeploymentClient().GetHandle(deployment)
	d, err := h.Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err == nil && d.Info.RoutingConfig.RampingVersion == nil {
		return fault.WithHint(fault.New(fault.Conflict, "no build of deployment %s is being ramped up", deployment), "to go back to an earlier build, promote that one")
	}
	if err == nil {
		_, err = h.SetRampingVersion(ctx, client.WorkerDeploymentSetRampingVersionOptions{})
	}
	return ofDeployment(deployment, "take back the build that is being ramped up", err)
}

func ofDeployment(deployment, what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("deployment %s: %s: %w", deployment, what, err)
	var missing *serviceerror.NotFound
	var refused *serviceerror.FailedPrecondition
	var wrong *serviceerror.InvalidArgument
	switch {
	case errors.As(err, &missing):
		return fault.WithHint(fault.Wrap(fault.NotFound, err), "a build is known once a worker of it has started: anabranch run --role worker --deployment %s --build ID", deployment)
	case errors.As(err, &refused):
		return fault.Wrap(fault.Conflict, err)
	case errors.As(err, &wrong):
		return fault.Wrap(fault.Invalid, err)
	}
	return fault.Wrap(fault.Transient, err)
}

package workflows

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"anabranch/activities"
	"anabranch/activities/activitiestest"
	"anabranch/fault"
)

func TestRebuildSpeedFailsWhenViewsDiffer(t *testing.T) {
	t.Parallel()
	for _, differ := range []int64{0, 3} {
		a := activitiestest.Activities(map[string]*world{"retail": {}})
		a.RebuildSpeed = func(context.Context, string) (activities.SpeedRebuilt, error) {
			return activities.SpeedRebuilt{From: "[1]", To: "[9]", Equal: differ == 0, Checked: "every view", Events: 100, Views: map[string]int64{"day": differ, "hour": 0}}, nil
		}
		env := environmentOf(a)
		env.ExecuteWorkflow(RebuildSpeedType, json.RawMessage(`{"pipeline":"retail"}`))
		err := env.GetWorkflowError()
		var got activities.SpeedRebuilt
		if differ == 0 {
			if err != nil || env.GetWorkflowResult(&got) != nil || got.Events != 100 {
				t.Errorf("%+v %v", got, err)
			}
			continue
		}
		if !activities.Carried(err, &got) || got.Views["day"] != 3 || fault.CodeOf(activities.FromTemporal(err)) != activities.DriftCode || !strings.Contains(err.Error(), "day in 3 rows") {
			t.Errorf("%+v %v", got, err)
		}
	}
	env := environment(t, &world{})
	env.ExecuteWorkflow(RebuildSpeedType, json.RawMessage(`{}`))
	if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), "pipeline is missing") {
		t.Error(err)
	}
}

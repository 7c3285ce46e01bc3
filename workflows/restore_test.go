package workflows

import (
	"encoding/json"
	"strings"
	"testing"

	"anabranch/activities"
	"anabranch/activities/activitiestest"
)

func TestRestorePublishesAVersion(t *testing.T) {
	t.Parallel()
	a := activitiestest.Activities(map[string]*world{"retail": {}, "then": {}})
	a.Poll = 1
	env := environmentOf(a)
	env.ExecuteWorkflow(RestoreType, json.RawMessage(`{"pipeline":"retail","into":"then","as_of":"v3"}`))
	var got activities.Restored
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if err := env.GetWorkflowResult(&got); err != nil || got.Version != 1 || got.Events != 30 || got.Into != "then" {
		t.Errorf("%+v %v", got, err)
	}
	if p := progress(t, env); p.Phase != phaseDone || p.Kind != "restore" {
		t.Errorf("%+v", p)
	}
	for input, want := range map[string]string{
		`{}`: "pipeline is missing", `{"pipeline":"retail"}`: "into is missing", `{"pipeline":"retail","into":"retail","as_of":"v1"}`: "is never deleted", `{"pipeline":"retail","into":"x"}`: "as_of is missing",
	} {
		env := environment(t, &world{})
		env.ExecuteWorkflow(RestoreType, json.RawMessage(input))
		if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}

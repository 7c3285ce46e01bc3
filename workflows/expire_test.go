package workflows

import (
	"encoding/json"
	"strings"
	"testing"

	"anabranch/batch"
)

func TestExpireSaysWhatGoes(t *testing.T) {
	t.Parallel()
	env := environment(t, &world{})
	env.ExecuteWorkflow(ExpireType, json.RawMessage(`{"pipeline":"retail","dry_run":true}`))
	var got batch.Expired
	if err := env.GetWorkflowResult(&got); err != nil || !got.Dry || got.Objects != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	in := ExpireInput{Pipeline: "retail", DryRun: true}
	if text := in.table(got); !strings.Contains(text, "| segments | 3 | 300 | raw events, counted more than 400d ago |") || !strings.Contains(text, "Kept though it is old: partition 0") {
		t.Error(text)
	}
	if p := progress(t, env); p.Phase != phaseDone || p.Kind != "expire" {
		t.Errorf("%+v", p)
	}
	env = environment(t, &world{})
	env.ExecuteWorkflow(ExpireType, json.RawMessage(`{"dry_run":true}`))
	if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), "pipeline is missing") {
		t.Error(err)
	}
}

package workflows

import (
	"encoding/json"
	"errors"
	"testing"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
)

// TestTenYearsOfDays: 3,650 days, each once, through many histories, and what
// goes from one to the next stays small. In package worker the flag -units has
// a real server take more.
func TestTenYearsOfDays(t *testing.T) {
	t.Parallel()
	const units = 3650
	w := &world{Folds: units, Finishes: 120}
	var input any = BackfillInput{Pipeline: "retail", Parallel: maxParallel}
	histories, largest := 0, 0
	for {
		histories++
		env := environment(t, w)
		env.SetContinueAsNewSuggested(true)
		env.ExecuteWorkflow(BackfillType, input)
		var more *workflow.ContinueAsNewError
		if !errors.As(env.GetWorkflowError(), &more) {
			if got := result(t, env); got.Units != units+120 || got.Version != 1 {
				t.Fatalf("%+v", got)
			}
			break
		}
		var next BackfillInput
		if err := converter.GetDefaultDataConverter().FromPayloads(more.Input, &next); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, len(text))
		input = next
	}
	t.Logf("%d histories, at most %d bytes from one to the next", histories, largest)
	if w.Count("fold") != units || histories < units/maxParallel || largest > 256<<10 {
		t.Errorf("%d folds in %d histories, %d bytes", w.Count("fold"), histories, largest)
	}
}

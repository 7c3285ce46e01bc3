package metamorphic

import (
	"bytes"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"anabranch/internal/soak"
)

var modelHistories = flag.Int("model", 300, "histories of the model of the seam")

// TestModel plays the model of the seam: with all rules no history parts from
// the truth, and without any one of them some do.
func TestModel(t *testing.T) {
	t.Parallel()
	first := startingSeed() % (1 << 40)
	run := soak.Open(t, "model", first)
	python, err := exec.LookPath("python3")
	if err != nil {
		run.NotRun("the model of the seam (docs/model/seam_model.py)", "python3 is not installed")
		return
	}
	const model = "../docs/model/seam_model.py"
	out, err := exec.CommandContext(t.Context(), python, model, "--prove", fmt.Sprint(*modelHistories), fmt.Sprint(first)).CombinedOutput()
	t.Logf("%s %s --prove %d %d\n%s", python, model, *modelHistories, first, out)
	if err != nil {
		t.Fatal(err)
	}
	run.Add("histories", int64(*modelHistories))
	run.Add("rules that are missed", int64(bytes.Count(out, []byte("without "))))
	for _, name := range soak.Tests["model"].Sometimes {
		if strings.Contains(string(out), name) {
			run.Sometimes(name)
		}
	}
}

package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/activities/activitiestest"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/ingest"
)

// drawer is a pipeline's dead letters: pages of ten, the last one shorter.
type drawer struct {
	t     *testing.T
	pages int
	calls []int
	fail  map[int]error // once, at this page
}

func (d *drawer) Release(_ context.Context, release string, number int, p ingest.Pick, after, by string) (ingest.Released, error) {
	d.calls = append(d.calls, number)
	if err := d.fail[number]; err != nil {
		delete(d.fail, number)
		return ingest.Released{}, err
	}
	if want := fmt.Sprint("letter-", number); number > 0 && after != want || by != "eva" || len(p.Sets) != 1 || p.Codes[0] != "zero" || !strings.HasPrefix(release, "default-test-workflow") {
		d.t.Errorf("page %d of %q behind %q, by %s: %+v", number, release, after, by, p)
	}
	out := ingest.Released{Released: 10, Refused: 1, Positions: []string{fmt.Sprintf("0/%d/0", number+1)}, FirstRefused: []deadletter.Refused{{ID: fmt.Sprint("x", number), Code: "zero"}}}
	if number+1 < d.pages {
		out.Next = fmt.Sprint("letter-", number+1)
	}
	return out, nil
}

func releases(d *drawer) *testsuite.TestWorkflowEnvironment {
	a := activitiestest.Activities(map[string]*world{"retail": {}})
	a.Releasers = func(context.Context, string) (activities.Releaser, error) { return d, nil }
	return environmentOf(a)
}

const releaseZero = `{"pipeline":"retail","codes":["zero"],"set":["price=1"],"by":"eva"}`

func TestReleaseWalksAllPages(t *testing.T) {
	t.Parallel()
	d := &drawer{t: t, pages: 25, fail: map[int]error{3: fault.New(fault.Transient, "the log does not answer")}}
	env := releases(d)
	env.ExecuteWorkflow(ReleaseType, json.RawMessage(releaseZero))
	var got ReleaseResult
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	if got.Released != 250 || got.Refused != 25 || len(got.FirstRefused) != maxFirstRefused || len(got.Positions) != 1 || got.Positions[0] != "0/25/0" {
		t.Errorf("%+v", got)
	}
	if len(d.calls) != 26 || d.calls[3] != 3 || d.calls[4] != 3 {
		t.Errorf("pages %v", d.calls)
	}
	value, err := env.QueryWorkflow(ProgressQuery)
	var p Progress
	if err == nil {
		err = value.Get(&p)
	}
	if err != nil || p.Phase != phaseDone || p.Done != 25 || p.Rows != 250 {
		t.Errorf("%+v %v", p, err)
	}
}

func TestLongReleaseGoesOnWithAFreshHistory(t *testing.T) {
	t.Parallel()
	d := &drawer{t: t, pages: pagesPerHistory + 1}
	env := releases(d)
	env.ExecuteWorkflow(ReleaseType, json.RawMessage(releaseZero))
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatal(err)
	}
	next := releases(d)
	next.ExecuteWorkflow(ReleaseType, json.RawMessage(again.Input.Payloads[0].Data))
	var got ReleaseResult
	if err := next.GetWorkflowResult(&got); err != nil || got.Released != 10*(pagesPerHistory+1) {
		t.Errorf("%+v %v", got, err)
	}
	if last := d.calls[len(d.calls)-1]; last != pagesPerHistory {
		t.Errorf("it ended with page %d", last)
	}
}

func TestReleaseRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{`{}`: "pipeline is missing", `{"pipline":"retail"}`: "unknown field", `{"pipeline":"other","set":["a=1"]}`: "no pipeline"} {
		env := releases(&drawer{t: t})
		env.ExecuteWorkflow(ReleaseType, json.RawMessage(input))
		if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}

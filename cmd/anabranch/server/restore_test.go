package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"anabranch/activities"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// itemsOf is what view items of a pipeline says, and the answer's receipt.
func (w *whole) itemsOf(pipeline string) (string, serving.Receipt) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Minute)
	defer cancel()
	a, err := w.engine.Query(ctx, sql.Request{SQL: "SELECT * FROM " + pipeline + ".items ORDER BY item", Fresh: serving.Fresh{Latest: true}})
	if err != nil {
		w.Fatal(err)
	}
	defer a.Close()
	var out strings.Builder
	for {
		row, err := a.Next()
		if err != nil {
			w.Fatal(err)
		}
		if row == nil {
			return out.String(), a.Receipt
		}
		fmt.Fprintln(&out, row...)
	}
}

// TestRestoreAnswersAsThen puts a pipeline as of several moments into others:
// of the receipt of a query, of a version, of a time.
func TestRestoreAnswersAsThen(t *testing.T) {
	t.Parallel()
	w := startWhole(t)
	w.put(smallFiles)
	rnd := rand.New(rand.NewPCG(5, 6))
	send := func() { (&small{T: t, pipeline: w.small()}).send(rnd, 10, 120) }
	send()
	w.night()
	atVersion, _ := w.itemsOf("small")
	send()
	atReceipt, receipt := w.itemsOf("small")
	text, err := json.Marshal(receipt)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Millisecond) // the clock that tells when frames were taken moves on
	then := time.Now()
	<-time.After(5 * time.Millisecond)
	send()
	w.night()
	send()
	now, last := w.itemsOf("small")
	for into, c := range map[string]struct{ asOf, want string }{
		"by_receipt": {string(text), atReceipt},
		"by_version": {"v1", atVersion},
		"by_time":    {then.Format(time.RFC3339Nano), atReceipt},
		"by_cut":     {last.Pipelines["small"].At.String(), now},
	} {
		out, err := w.restore(t.Context(), activities.Restore{Pipeline: "small", Into: into, AsOf: c.asOf})
		if err != nil || out.Events == 0 {
			t.Errorf("%s: %+v %v", into, out, err)
			continue
		}
		if got, _ := w.itemsOf(into); got != c.want {
			t.Errorf("%s says\n%swant\n%s", into, got, c.want)
		}
	}
	// A step that is done again changes nothing.
	if _, err := w.restore(t.Context(), activities.Restore{Pipeline: "small", Into: "by_version", AsOf: "v1"}); err != nil {
		t.Error(err)
	}
	if got, _ := w.itemsOf("by_version"); got != atVersion {
		t.Errorf("twice it says\n%swant\n%s", got, atVersion)
	}
	if got, _ := w.itemsOf("small"); got != now {
		t.Error("the pipeline itself has changed")
	}
	for asOf, want := range map[string]string{
		"yesterday": "want a time like", "1,2,3": "has 2", "1,99999999": "ends at", "v99": "no manifest", `{"pipelines":{}}`: "not the receipt of a query", "{": "cannot be read",
	} {
		if _, err := w.small().asOf(t.Context(), asOf); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", asOf, err)
		}
	}
	if _, err := w.restore(t.Context(), activities.Restore{Pipeline: "small", Into: "by_version", AsOf: "v2"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("into a pipeline that is there: %v", err)
	}
}

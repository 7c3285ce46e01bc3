package flightsql_test

import (
	"flag"
	"os/exec"
	"testing"

	"anabranch/serving/flightsql"
)

var python = flag.String("python", "", "a python3 with tools/clients/requirements.txt, for the test of real clients")

// ADBC's driver and pyarrow read what the Go client does. make test-clients.
func TestPythonClients(t *testing.T) {
	if *python == "" {
		t.Skip("NOT RUN: ADBC and pyarrow against the door: make test-clients has them")
	}
	b := setup(t, flightsql.Options{Version: "7"})
	b.fold("a", 3, 250)
	b.fold("b", 1, 100)
	out, err := exec.CommandContext(t.Context(), *python, "../../tools/clients/flight.py", b.addr).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

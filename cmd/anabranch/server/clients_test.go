package server_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/cmd/anabranch/server"
)

var (
	python    = flag.String("python", "", "a python3 with tools/clients/requirements.txt, for the test of real clients")
	clientFor = flag.Duration("client-time", 3*time.Minute, "how long schemathesis makes up requests")
)

// Schemathesis makes up requests from the OpenAPI document, right ones and
// wrong ones, and looks at the answers. make test-clients.
func TestClientsOverHTTP(t *testing.T) {
	if *python == "" {
		t.Skip("NOT RUN: schemathesis and pandas against the HTTP door: make test-clients has them")
	}
	dir := t.TempDir()
	s, err := server.Start(t.Context(), server.Config{
		Dir: dir, Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", TemporalListen: "127.0.0.1:0", TemporalUI: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	r := &running{T: t, dir: dir, server: s, client: client.New(s.Addresses().HTTP)}
	r.apply(definition(t, nil))
	r.post(day(t, "2010-12-01"), "text/csv")
	var night api.Run
	if err := r.client.JSON(t.Context(), "POST", "/v1/pipelines/retail/batches?wait=2m", api.StartBatch{Key: "first"}, &night); err != nil || night.State != "completed" {
		t.Fatalf("%+v %v", night, err)
	}
	r.post(day(t, "2010-12-02"), "text/csv")
	run := func(name string, arg ...string) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("NOT RUN: there is no %s: %v", filepath.Base(name), err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), *clientFor+5*time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, name, arg...)
			c.Dir = t.TempDir()
			c.Env = append(os.Environ(), "NO_COLOR=1")
			out, err := c.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Error(err)
			}
		})
	}
	tools, err := filepath.Abs("../../../tools/clients")
	if err != nil {
		t.Fatal(err)
	}
	run(*python, filepath.Join(tools, "over_http.py"), s.Addresses().HTTP)
	run(filepath.Join(filepath.Dir(*python), "schemathesis"), "--config-file", filepath.Join(tools, "schemathesis.toml"), "run", s.Addresses().HTTP+"/openapi.json",
		// A watch has no end.
		"--exclude-path", "/v1/views/{view}/watch",
		"--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color", "--warnings", "off",
		"--max-time", strconv.Itoa(int(clientFor.Seconds())), "--request-timeout", "60")
}

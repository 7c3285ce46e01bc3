package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/bucket/buckettest"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/serving"
)

// overS3 is a server over an S3 server that can refuse.
type overS3 struct {
	*testing.T
	*Server
	store *buckettest.FakeS3
	sent  int
}

func (s *overS3) call(method, path string, in any) (int, http.Header, []byte) {
	s.Helper()
	var body io.Reader
	if text, ok := in.(string); ok {
		body = strings.NewReader(text)
	} else if in != nil {
		text, _ := json.Marshal(in)
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.Addresses().HTTP+path, body)
	if err != nil {
		s.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer.StatusCode, answer.Header, text
}

// send posts n events that are all good, which must be taken.
func (s *overS3) send(n int) {
	s.Helper()
	var body strings.Builder
	for range n {
		s.sent++
		fmt.Fprintf(&body, `{"id": "e%d", "item": "i%d", "ts": "2026-01-%02d 12:00:00", "amount": 1}`+"\n", s.sent, s.sent%7, 1+s.sent%5)
	}
	if status, _, text := s.call(http.MethodPost, "/v1/pipelines/small/events", body.String()); status != http.StatusOK {
		s.Fatalf("send: %d %s", status, text)
	}
}

// count asks for everything and returns the receipt; the sum must be right.
func (s *overS3) count() serving.PipelineReceipt {
	s.Helper()
	status, header, text := s.call(http.MethodPost, "/v1/query", map[string]string{
		"sql": "SELECT (SELECT sum(total) FROM small.items) AS a, (SELECT sum(n) FROM small.daily) AS b", "consistency": "latest",
	})
	if status != http.StatusOK || !strings.Contains(string(text), fmt.Sprint(s.sent)) {
		s.Fatalf("query: %d %s, want %d twice", status, text, s.sent)
	}
	var r serving.Receipt
	if err := json.Unmarshal([]byte(header.Get("Anabranch-Receipt")), &r); err != nil {
		s.Fatal(err)
	}
	return r.Pipelines["small"]
}

// until waits for what another goroutine does, which has no signal.
func (s *overS3) until(what string, ok func() bool) {
	s.Helper()
	for began := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 5*time.Minute {
			s.Fatalf("%s: not within 30 s", what)
		}
	}
}

func (s *overS3) ready() (r api.Ready) {
	s.Helper()
	status, _, text := s.call(http.MethodGet, "/readyz", nil)
	if err := json.Unmarshal(text, &r); err != nil || status != http.StatusOK {
		s.Fatalf("readyz: %d %s", status, text)
	}
	return r
}

func (s *overS3) night(id string) (batch.Published, error) {
	s.Helper()
	p, err := s.pipeline("small")
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Minute)
	defer cancel()
	return batch.Run(ctx, p.runner, batch.Request{Kind: batch.Nightly, RunID: id})
}

// The bucket is gone, or the credentials are taken back, until somebody mends
// it: the program takes events and answers queries from the last version, says
// so and why, and goes on by itself.
func TestObjectStoreRefuses(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	store := buckettest.NewFakeS3()
	front := httptest.NewServer(store)
	t.Cleanup(front.Close)
	server, err := Start(t.Context(), Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Temporal: noTemporal, Bucket: "s3://fake?region=us-east-1&stall=5s&endpoint=" + front.URL,
		Grace: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	s := &overS3{T: t, Server: server, store: store}
	if status, _, text := s.call(http.MethodPost, "/v1/pipelines", api.Apply{Files: smallFiles}); status != http.StatusOK {
		t.Fatalf("apply: %d %s", status, text)
	}
	s.send(50)
	if p, err := s.night("night-0"); err != nil || p.Version != 1 {
		t.Fatalf("%+v %v", p, err)
	}
	s.until("version 1 is answered from", func() bool { return s.count().Manifest == 1 })
	for i, c := range []struct{ code, says string }{{"NoSuchBucket", "bring the bucket back"}, {"AccessDenied", "let these credentials"}} {
		before := uint64(i + 1)
		if r := s.ready(); r.Status != "ok" {
			t.Fatalf("%s: before: %+v", c.code, r)
		}
		store.Refuse(c.code)
		s.send(20)
		s.until("readyz says what is wrong", func() bool { return s.ready().Status == "degraded" })
		if r := s.ready(); r.Problems[0].Part != "object store" || !strings.Contains(r.Problems[0].Error, c.says) {
			t.Errorf("%s: %+v", c.code, r)
		}
		if r := s.count(); r.Manifest != before || !r.Stale || !strings.Contains(r.StaleBecause, c.says) {
			t.Errorf("%s: receipt %+v", c.code, r)
		}
		// What is refused at the door needs the store; its sender comes again.
		status, header, text := s.call(http.MethodPost, "/v1/pipelines/small/events", `{"id": "bad", "item": "x", "ts": "2026-01-01 00:00:00", "amount": -1}`)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
			t.Errorf("%s: a bad event: %d %s", c.code, status, text)
		}
		id := fmt.Sprint("night-", before)
		if _, err := s.night(id); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: a batch: %v", c.code, err)
		}
		s.send(20)
		store.Refuse("")
		s.until("readyz is ok", func() bool { return s.ready().Status == "ok" })
		if p, err := s.night(id); err != nil || p.Version != before+1 {
			t.Fatalf("%s: the batch again: %+v %v", c.code, p, err)
		}
		s.until("the new version is answered from", func() bool { r := s.count(); return r.Manifest == before+1 && !r.Stale })
	}
}

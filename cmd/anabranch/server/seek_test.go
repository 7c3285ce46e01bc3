package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestWhatAnotherProcessJustApplied: every door of a process looks in the
// catalog before it says that there is no such pipeline or view. Nothing else
// looks here: a process that was away for a while answers before it has looked
// by itself.
func TestWhatAnotherProcessJustApplied(t *testing.T) {
	t.Parallel()
	one := startSmall(t, Config{Dir: t.TempDir(), PG: "127.0.0.1:0"})
	apart := func() *Server {
		return startSmall(t, Config{Dir: t.TempDir(), Roles: []Role{RoleGateway, RoleSpeed}, FollowEvery: time.Hour,
			PG: "127.0.0.1:0", NATS: one.Addresses().NATS, Bucket: one.config.Bucket})
	}
	request := func(s *Server, method, path, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.Addresses().HTTP+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-ndjson")
		if strings.HasPrefix(path, "/v1/query") {
			r.Header.Set("Content-Type", "application/json")
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			t.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
		}
	}
	others := []*Server{apart(), apart(), apart(), apart(), apart()}
	if _, err := one.applyFiles(t.Context(), smallFiles); err != nil {
		t.Fatal(err)
	}
	request(others[0], "POST", "/v1/pipelines/small/events", `{"id": "1", "item": "a", "ts": "2026-02-01 00:00:00", "amount": 1}`)
	request(others[1], "POST", "/v1/query", `{"sql": "SELECT * FROM small.items"}`)
	request(others[2], "GET", "/v1/views/items?key=a", "")
	request(others[3], "GET", "/v1/pipelines/small", "")
	conn, err := pgx.Connect(t.Context(), others[4].Addresses().PG)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SELECT * FROM small.items"); err != nil {
		t.Error(err)
	}

	// Another view of a pipeline that is known.
	files := map[string]string{"views/more.sql": "SELECT item, max(amount) AS most FROM events GROUP BY ALL"}
	for name, text := range smallFiles {
		files[name] = text
	}
	if _, err := one.applyFiles(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	request(others[1], "POST", "/v1/query", `{"sql": "SELECT * FROM small.more"}`)
	request(others[2], "GET", "/v1/views/more?key=a", "")
}

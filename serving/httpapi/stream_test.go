package httpapi_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/ipc"

	"anabranch/serving"
	"anabranch/serving/httpapi"
	engine "anabranch/serving/sql"
)

var allFormats = []string{"application/json", "application/x-ndjson", "text/csv", arrowStream, parquetFile}

func narrow(t *testing.T, o engine.Options) (*httptest.Server, *engine.Engine) {
	t.Helper()
	e, err := engine.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(httpapi.Query(e, httpapi.Options{}))
	t.Cleanup(func() { s.Close(); e.Close() })
	return s, e
}

// A short answer comes whole, with its length and the number of its rows; a long
// one while it is made, with that number behind it.
func TestShortAndLongAnswers(t *testing.T) {
	t.Parallel()
	s := door(t)
	for _, accept := range allFormats {
		resp, body, err := post(t, s, accept, "FROM range(7)")
		if err != nil || resp.ContentLength != int64(len(body)) || resp.Header.Get("Anabranch-Rows") != "7" {
			t.Errorf("%s: %d bytes of %d, %v, %v", accept, len(body), resp.ContentLength, resp.Header, err)
		}
		resp, body, err = post(t, s, accept, "SELECT i, md5(i::VARCHAR) FROM range(30000) t(i)")
		if err != nil || resp.ContentLength != -1 || resp.Header.Get("Anabranch-Rows") != "" || resp.Trailer.Get("Anabranch-Rows") != "30000" {
			t.Errorf("%s: %d bytes, %v, %v, %v", accept, len(body), resp.Header, resp.Trailer, err)
		}
	}
}

// An answer that fails while it is held is a problem with its status; one that
// fails later looks whole to nobody.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	s := door(t)
	// Of either the first row that fails is beyond what the engine runs at once.
	const short = "SELECT CASE WHEN i = 10000 THEN error('half way') ELSE i % 10 END AS i FROM range(20000) t(i)"
	const long = "SELECT i, repeat(md5(i::VARCHAR), 2), CASE WHEN i = 60000 THEN error('half way') END AS e FROM range(100000) t(i)"
	for _, accept := range allFormats {
		long := long
		if accept == parquetFile { // of which a row group is held
			long = strings.NewReplacer("60000", "200000", "100000", "300000").Replace(long)
		}
		resp, body, err := post(t, s, accept, short)
		if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "half way") || resp.Header.Get("Anabranch-Receipt") != "" {
			t.Errorf("%s: %s %v %.200s", accept, resp.Status, err, body)
		}
		resp, body, err = post(t, s, accept, long)
		if resp.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) || len(body) < 1<<20 {
			t.Errorf("%s: %s, %d bytes, %v", accept, resp.Status, len(body), err)
		}
		if resp.Trailer.Get("Anabranch-Rows") != "" {
			t.Errorf("%s: %v", accept, resp.Trailer)
		}
		if looksWhole(accept, body) {
			t.Errorf("%s: looks whole, it ends with %q", accept, body[max(0, len(body)-200):])
		}
		if rows := strings.Contains(accept, "json") || accept == "text/csv"; rows && !bytes.Contains(body[len(body)-300:], []byte("half way")) {
			t.Errorf("%s: ends with %q", accept, body[len(body)-300:])
		}
		// A client that is older than chunks has the body only.
		body = oldClient(t, s, accept, long)
		if len(body) < 1<<20 || looksWhole(accept, body) {
			t.Errorf("%s to an old client: %d bytes look whole", accept, len(body))
		}
		if !looksWhole(accept, oldClient(t, s, accept, strings.NewReplacer("i = 60000", "i < 0", "i = 200000", "i < 0").Replace(long))) {
			t.Errorf("%s to an old client: does not look whole", accept)
		}
	}
}

func oldClient(t *testing.T, s *httptest.Server, accept, query string) []byte {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.0\r\nContent-Type: application/sql\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n%s", accept, len(query), query)
	text, err := io.ReadAll(c)
	if err != nil && len(text) == 0 {
		t.Fatal(err)
	}
	_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	return body
}

func looksWhole(accept string, body []byte) bool {
	switch accept {
	case "application/json":
		return json.Valid(body)
	case "application/x-ndjson":
		for line := range bytes.Lines(body) {
			if !json.Valid(line) {
				return false
			}
		}
		return true
	case "text/csv":
		_, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
		return err == nil
	case arrowStream:
		r, err := ipc.NewReader(bytes.NewReader(body))
		if err != nil {
			return false
		}
		for r.Next() {
		}
		return r.Err() == nil
	}
	return bytes.HasSuffix(body, []byte("PAR1"))
}

// discard is a client that takes everything, and looks at the heap now and then.
type discard struct {
	header http.Header
	n      int64
	look   func()
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	if (d.n+int64(len(p)))>>22 > d.n>>22 {
		d.look()
	}
	d.n += int64(len(p))
	return len(p), nil
}

// What an answer takes while it goes out does not depend on how long it is.
func TestLongAnswersTakeLittle(t *testing.T) {
	// Not parallel: the heap that it looks at is that of the process.
	_, e := narrow(t, engine.Options{})
	h := httpapi.Query(e, httpapi.Options{})
	n := 2_000_000
	if testing.Short() {
		n = 500_000
	}
	for _, accept := range allFormats {
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		most := int64(0)
		d := &discard{header: http.Header{}, look: func() {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, int64(now.HeapAlloc)-int64(before.HeapAlloc))
		}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(fmt.Sprintf("SELECT i, md5(i::VARCHAR) AS m FROM range(%d) t(i)", n)))
		r.Header.Set("Content-Type", "application/sql")
		r.Header.Set("Accept", accept)
		h.ServeHTTP(d, r)
		t.Logf("%s: %d MB, of which %d kB were held at most", accept, d.n>>20, most>>10)
		limit := int64(8 << 20)
		if accept == parquetFile {
			limit = 48 << 20 // of a row group
		}
		if d.header.Get("Anabranch-Rows") != strconv.Itoa(n) || d.n < int64(16*n) || most > limit {
			t.Errorf("%s: %d bytes, of which %d were held, %v", accept, d.n, most, d.header)
		}
	}
}

// The query of a client that is gone ends, and that of one that reads nothing
// when its time is over; the turns of both are free for others.
func TestClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{true, false} {
		o := engine.Options{MaxQueries: 1, Patience: time.Minute, Limits: engine.Limits{Rows: 1 << 40, Bytes: 1 << 50}}
		if !gone {
			o.Limits.Time = 5 * time.Second // which SELECT 1 has, too
		}
		s, _ := narrow(t, o)
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		const query = "SELECT i, md5(i::VARCHAR) FROM range(100000000000) t(i)"
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nAccept: text/csv\r\nContent-Length: %d\r\n\r\n%s", len(query), query)
		in := bufio.NewReader(c)
		for range 20 { // it has its turn
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if gone {
			c.Close()
		}
		for end := time.Now().Add(5 * time.Minute); ; { // it may have no more time either
			resp, body, err := post(t, s, "text/csv", "SELECT 1 AS n")
			if err == nil && string(body) == "n\n1\n" {
				break
			}
			if err != nil || resp.StatusCode != http.StatusTooManyRequests || time.Now().After(end) {
				t.Fatalf("gone %t: %v %s %v", gone, resp, body, err)
			}
		}
		c.Close()
	}
}

// A large answer of a client that reads nothing keeps no other from being read.
func TestNobodyWaitsForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s, _ := narrow(t, engine.Options{MaxQueries: 100, Limits: engine.Limits{Rows: 1 << 40, Bytes: 1 << 50}})
	const query = "SELECT i, md5(i::VARCHAR) FROM range(100000000000) t(i)"
	for range runtime.GOMAXPROCS(0) {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nAccept: text/csv\r\nContent-Length: %d\r\n\r\n%s", len(query), query)
		in := bufio.NewReader(c)
		for range 100_000 {
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	resp, body, err := post(t, s, "text/csv", "SELECT * FROM range(200000)")
	if rows := bytes.Count(body, []byte("\n")); err != nil || rows != 200001 {
		t.Errorf("%v, %d rows, %v", resp, rows, err)
	}
}

// JSON keeps its text, and with it all digits.
func TestDocumentsKeepTheirDigits(t *testing.T) {
	t.Parallel()
	s := door(t)
	const query = `SELECT x, [x] AS l FROM (SELECT '{"n": 12345678901234567890.120,
		"b": [9007199254740993]}'::JSON AS x)`
	const want = `{"x":{"n":12345678901234567890.120,"b":[9007199254740993]},"l":[{"n":12345678901234567890.120,"b":[9007199254740993]}]}` + "\n"
	if _, body, err := post(t, s, "application/x-ndjson", query); err != nil || string(body) != want {
		t.Errorf("%s %v", body, err)
	}
	_, body, err := post(t, s, "text/csv", query)
	rows, bad := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || bad != nil || !strings.Contains(rows[1][0], `"n": 12345678901234567890.120,`) {
		t.Errorf("%s %v %v", body, err, bad)
	}
}

package buckettest

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FakeS3 is an S3 server of one bucket in memory, for tests that ask many
// times what happens when one call fails. It speaks the part of the protocol
// that we use, with path-style URLs, and checks no signatures. As a handler it
// serves a listener, as a RoundTripper a client in this process.
type FakeS3 struct {
	mu      sync.Mutex // guards what follows
	objects map[string]object
	refusal string
}

type object struct {
	data     []byte
	meta     http.Header
	etag     string
	modified time.Time
}

// NewFakeS3 returns an empty server whose bucket exists.
func NewFakeS3() *FakeS3 { return &FakeS3{objects: map[string]object{}} }

// Refuse answers every call with an error code from now on: "NoSuchBucket",
// "AccessDenied". With "" it serves again.
func (f *FakeS3) Refuse(code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal = code
}

// Names returns the names of all objects.
func (f *FakeS3) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.objects))
}

// RoundTrip answers a request without a network.
func (f *FakeS3) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	f.ServeHTTP(w, in)
	answer := w.Result()
	answer.Request = r
	return answer, nil
}

var statuses = map[string]int{
	"NoSuchBucket": 404, "NoSuchKey": 404, "AccessDenied": 403, "PreconditionFailed": 412, "InvalidRange": 416, "NotImplemented": 501, "IncompleteBody": 400,
	"BadDigest": 400, "InternalError": 500, "SlowDown": 503, "OperationAborted": 409, "ConditionalRequestConflict": 409,
}

// refuse answers with an error of S3.
func refuse(w http.ResponseWriter, r *http.Request, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(statuses[code])
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>as the test wants it</Message></Error>", code)
	}
}

// ServeHTTP answers one call, as a whole before or after any other.
func (f *FakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case f.refusal != "":
		refuse(w, r, f.refusal)
	case err != nil || r.ContentLength >= 0 && int64(len(body)) != r.ContentLength:
		refuse(w, r, "IncompleteBody")
	case strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked"):
		refuse(w, r, "NotImplemented")
	case key == "" && r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		f.list(w, r)
	case key == "" && (r.Method == http.MethodHead || r.Method == http.MethodPut):
	case r.Method == http.MethodPut:
		f.put(w, r, key, body)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		f.get(w, r, key)
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, r, "NotImplemented")
	}
}

func (f *FakeS3) put(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	old, there := f.objects[key]
	match := r.Header.Get("If-Match")
	switch {
	case r.Header.Get("If-None-Match") == "*" && there, match != "" && there && match != old.etag:
		refuse(w, r, "PreconditionFailed")
		return
	case match != "" && !there:
		refuse(w, r, "NoSuchKey")
		return
	}
	if want := r.Header.Get("X-Amz-Checksum-Sha256"); want != "" {
		if got := sha256.Sum256(body); base64.StdEncoding.EncodeToString(got[:]) != want {
			refuse(w, r, "BadDigest")
			return
		}
	}
	sum := md5.Sum(body)
	o := object{data: body, meta: http.Header{}, etag: `"` + hex.EncodeToString(sum[:]) + `"`, modified: time.Now()}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			o.meta[name] = values
		}
	}
	f.objects[key] = o
	w.Header().Set("ETag", o.etag)
}

func (f *FakeS3) get(w http.ResponseWriter, r *http.Request, key string) {
	o, there := f.objects[key]
	if !there {
		refuse(w, r, "NoSuchKey")
		return
	}
	if m := r.Header.Get("If-Match"); m != "" && m != o.etag {
		refuse(w, r, "PreconditionFailed")
		return
	}
	maps.Copy(w.Header(), o.meta)
	w.Header().Set("ETag", o.etag)
	w.Header().Set("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
	data, status := o.data, http.StatusOK
	if text := r.Header.Get("Range"); text != "" {
		var from, to int
		if _, err := fmt.Sscanf(text, "bytes=%d-%d", &from, &to); err != nil || from >= len(data) || from > to {
			refuse(w, r, "InvalidRange")
			return
		}
		to = min(to, len(data)-1)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
		data, status = data[from:to+1], http.StatusPartialContent
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(data)
	}
}

func (f *FakeS3) list(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
	}
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name, Prefix          string
		KeyCount, MaxKeys     int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []entry
	}
	q := r.URL.Query()
	after := cmp.Or(q.Get("continuation-token"), q.Get("start-after"))
	out.Name, out.Prefix, out.MaxKeys = "fake", q.Get("prefix"), 1000
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		if !strings.HasPrefix(key, out.Prefix) || key <= after {
			continue
		}
		if len(out.Contents) == out.MaxKeys {
			out.IsTruncated, out.NextContinuationToken = true, out.Contents[len(out.Contents)-1].Key
			break
		}
		o := f.objects[key]
		out.Contents = append(out.Contents, entry{key, o.modified.UTC().Format("2006-01-02T15:04:05.000Z"), o.etag, len(o.data)})
	}
	out.KeyCount = len(out.Contents)
	var text bytes.Buffer
	text.WriteString(xml.Header)
	if err := xml.NewEncoder(&text).Encode(out); err != nil {
		refuse(w, r, "InternalError")
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	_, _ = w.Write(text.Bytes())
}

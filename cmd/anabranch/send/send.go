// Package send turns files of events into requests that a gateway can
// acknowledge one by one, so that progress is real and a repeat is cheap.
package send

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/zeebo/xxh3"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
	"anabranch/schemas"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
	JSON   Format = "json"
)

// ContentType is the media type of f.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv"
	case JSON:
		return "application/json"
	}
	return "application/x-ndjson"
}

// Chunk is one request's body.
type Chunk = schemas.Chunk

// NewSplitter returns a splitter of in whose chunks hold about size bytes.
func NewSplitter(in io.Reader, format Format, size int) *schemas.Splitter {
	return schemas.NewSplitter(in, map[Format]schemas.Format{CSV: schemas.CSV, JSON: schemas.JSONArray}[format], size)
}

// keyOf is the same for the same chunk of the same source: a gateway that sees
// it again puts the chunk's dead letters where they are, and not beside.
func keyOf(c Chunk, source string) string {
	sum := xxh3.Hash128(fmt.Appendf(nil, "%q %d %x", source, c.FirstLine, xxh3.Hash128(c.Body).Bytes())).Bytes()
	return hex.EncodeToString(sum[:])
}

// Sender posts chunks to one pipeline.
type Sender struct {
	Client   *client.Client
	Pipeline string
	Lane     string
	Patience time.Duration   // how long to go on when the server is away or busy
	Waiting  func(err error) // told once for each wait, with its reason
}

// Post sends one chunk until it is acknowledged, refused for good, or
// Patience is over. Lines in the answer are lines of the file. Repeating is
// safe: an event is known by its id.
func (s *Sender) Post(ctx context.Context, source string, format Format, c Chunk) (api.Answer, error) {
	header := http.Header{"Content-Type": {format.ContentType()}, "Anabranch-Source": {source}, "Idempotency-Key": {keyOf(c, source)}}
	if s.Lane != "" {
		header.Set("Anabranch-Lane", s.Lane)
	}
	if at := c.FirstLine - 1 - c.Header; at > 0 {
		header.Set("Anabranch-First-Line", strconv.Itoa(at+1))
	}
	var last error // what the server said; the retry's own words are about waiting
	once := func() (api.Answer, error) {
		var a api.Answer
		resp, err := s.Client.Do(ctx, http.MethodPost, "/v1/pipelines/"+s.Pipeline+"/events", header, c.Body)
		if err != nil {
			last = err
			return a, s.again(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			return a, fmt.Errorf("read the acknowledgement: %w", err)
		}
		return a, nil
	}
	a, err := backoff.Retry(ctx, once, backoff.WithMaxElapsedTime(s.Patience), backoff.WithBackOff(backoff.NewExponentialBackOff()))
	if err != nil {
		if last != nil && ctx.Err() == nil {
			err = last
		}
		return a, fmt.Errorf("send %s from line %d: %w", source, c.FirstLine, err)
	}
	return a, nil
}

// again marks what must not be tried again, and waits as long as the server
// asks.
func (s *Sender) again(err error) error {
	kind := fault.KindOf(err)
	if !kind.Retryable() && !errors.Is(err, client.ErrUnreachable) {
		return backoff.Permanent(err)
	}
	if s.Waiting != nil && !errors.Is(err, context.Canceled) {
		s.Waiting(err)
	}
	var refused *client.Error
	if errors.As(err, &refused) {
		if n, e := strconv.Atoi(refused.RetryAfter); e == nil {
			return &backoff.RetryAfterError{Duration: time.Duration(n) * time.Second}
		}
	}
	return err
}

package s3bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"anabranch/bucket"
	"anabranch/fault"
)

// Get implements bucket.Reader.
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, bucket.Info, error) {
	if err := bucket.CheckName(name); err != nil {
		return nil, bucket.Info{}, err
	}
	out, w, err := b.get(ctx, name, "", "")
	if err != nil {
		return nil, bucket.Info{}, fmt.Errorf("read %s: %w", name, err)
	}
	info := bucket.Info{Name: name, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), Modified: aws.ToTime(out.LastModified)}
	r := &body{ctx: ctx, from: b, name: name, etag: info.ETag, end: info.Size, stream: out.Body, watch: w}
	if sum := out.Metadata[metaSum]; sum != "" {
		r.want, r.hash = sum, sha256.New()
	}
	return r, info, nil
}

// Range implements bucket.Reader. Its bytes are checked for number, not for
// content.
func (b *Bucket) Range(ctx context.Context, name string, offset, size int64) (io.ReadCloser, error) {
	if err := bucket.CheckName(name); err != nil {
		return nil, err
	}
	if err := bucket.CheckRange(name, offset, size, math.MaxInt64); err != nil {
		return nil, err
	}
	if size == 0 { // which HTTP cannot ask for
		info, err := b.Stat(ctx, name)
		if err == nil {
			err = bucket.CheckRange(name, offset, 0, info.Size)
		}
		if err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	out, w, err := b.get(ctx, name, httpRange(offset, offset+size), "")
	if err != nil {
		return nil, fmt.Errorf("read %s, bytes %d+%d: %w", name, offset, size, err)
	}
	_, total, _ := strings.Cut(aws.ToString(out.ContentRange), "/")
	whole, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		err = fault.New(fault.Transient, "read %s: the store answers a range with %q", name, aws.ToString(out.ContentRange))
	} else {
		err = bucket.CheckRange(name, offset, size, whole)
	}
	if err != nil {
		out.Body.Close()
		w.stop()
		return nil, err
	}
	return &body{ctx: ctx, from: b, name: name, etag: aws.ToString(out.ETag), at: offset, end: offset + size, stream: out.Body, watch: w}, nil
}

func httpRange(from, to int64) string { return fmt.Sprintf("bytes=%d-%d", from, to-1) }

// get begins to read an object. The watch goes on, at our turn, for as long as
// the body is read; the caller stops it.
func (b *Bucket) get(ctx context.Context, name, part, match string) (out *s3.GetObjectOutput, w *watch, err error) {
	in := &s3.GetObjectInput{Bucket: &b.o.Bucket, Key: b.key(name)}
	allowed := maybeAbsent
	if part != "" {
		in.Range = &part
	}
	if match != "" {
		in.IfMatch = &match
		allowed |= maybeLost
	}
	err = b.try(ctx, allowed, func() (err error) {
		w = b.watch(ctx)
		if out, err = b.client.GetObject(w.ctx, in); err != nil {
			w.stop()
			return w.why(err)
		}
		if out.ContentLength == nil {
			out.Body.Close()
			w.stop()
			return fault.New(fault.Transient, "the store's answer does not say how long it is")
		}
		w.turn()
		return nil
	})
	return out, w, err
}

// body reads [at, end) of an object and survives broken connections.
type body struct {
	ctx      context.Context // of the Get: it bounds the reading too
	from     *Bucket
	name     string
	etag     string
	at, end  int64
	stream   io.ReadCloser
	watch    *watch    // of the attempt that stream comes from
	failures int       // in a row without a byte between
	hash     hash.Hash // of what was read; nil when there is nothing to compare with
	want     string
	err      error // sticky
}

func (r *body) Read(p []byte) (int, error) {
	for r.err == nil {
		if r.at == r.end {
			r.err = r.check()
			break
		}
		if int64(len(p)) > r.end-r.at {
			p = p[:r.end-r.at]
		}
		r.watch.turn()
		n, err := r.stream.Read(p)
		r.watch.turn()
		if n > 0 {
			r.at += int64(n)
			r.failures = 0
			if r.hash != nil {
				r.hash.Write(p[:n])
			}
			return n, nil // an error comes again at the next call, or does not matter at the end
		}
		if err != nil {
			r.err = r.resume(err)
		} else if len(p) == 0 {
			return 0, nil
		}
	}
	return 0, r.err
}

// resume opens the rest of the same object after the connection broke with
// cause, which may be an end too early.
func (r *body) resume(cause error) error {
	cause = r.watch.why(cause)
	r.stream.Close()
	r.watch.stop()
	r.failures++
	if r.failures >= r.from.o.Attempts || r.ctx.Err() != nil {
		return fault.Wrap(fault.Transient, fmt.Errorf("read %s at byte %d of %d: %w", r.name, r.at, r.end, errors.Join(r.ctx.Err(), cause)))
	}
	if err := r.from.pause(r.ctx, r.failures); err != nil {
		return err
	}
	out, w, err := r.from.get(r.ctx, r.name, httpRange(r.at, r.end), r.etag)
	if errors.Is(err, bucket.ErrCondition) || errors.Is(err, bucket.ErrNotFound) {
		return fault.New(fault.Transient, "read %s at byte %d of %d: the object was replaced meanwhile; read it again", r.name, r.at, r.end)
	}
	if err != nil {
		return fmt.Errorf("read %s at byte %d of %d: %w", r.name, r.at, r.end, err)
	}
	if want := fmt.Sprintf("bytes %d-", r.at); !strings.HasPrefix(aws.ToString(out.ContentRange), want) {
		out.Body.Close()
		w.stop()
		return fault.New(fault.Transient, "read %s at byte %d of %d: the store answers a range with %q", r.name, r.at, r.end, aws.ToString(out.ContentRange))
	}
	r.stream, r.watch = out.Body, w
	return nil
}

func (r *body) check() error {
	if r.hash == nil {
		return io.EOF
	}
	if got := hex.EncodeToString(r.hash.Sum(nil)); got != r.want {
		return fault.New(fault.Corrupt, "read %s: SHA-256 of its %d bytes is %s, %s was put", r.name, r.end, got, r.want)
	}
	return io.EOF
}

func (r *body) Close() error {
	r.err = fault.New(fault.Invalid, "read %s: the body is closed", r.name)
	r.stream.Close() // what it says about bytes that nobody asked for does not matter
	r.watch.stop()
	return nil
}

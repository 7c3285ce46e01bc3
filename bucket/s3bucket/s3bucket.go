// Package s3bucket keeps objects in S3 or in anything that speaks its
// protocol with conditional writes (If-None-Match and If-Match on put).
//
// What S3 leaves open is closed here: a put whose answer was lost learns by
// reading whether it won, a body whose connection broke goes on where it
// stopped, and every body is checked against the length and the SHA-256 that
// were put. Kinds of errors are decided here and nowhere above.
package s3bucket

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// Options say where the bucket is. The zero value of a field is its default.
type Options struct {
	Bucket       string                          // name of the bucket; required
	Prefix       string                          // put in front of every object name, with a slash between; default none
	Endpoint     string                          // base URL of the store; default AWS
	Region       string                          // default the AWS chain (environment, profile), then us-east-1
	AccessKey    string                          // with SecretKey; default the AWS chain of credentials
	SecretKey    string                          // goes with AccessKey
	SessionToken string                          // of temporary keys; default none
	PathStyle    bool                            // bucket in the path of URLs, not in the host; most stores that are not AWS need it
	Create       bool                            // make the bucket when there is none
	Attempts     int                             // how often a call is tried in all; default 6
	Backoff      func(attempt int) time.Duration // pause before attempt 2, 3, ...; default 50 ms doubling to 2 s
	Stall        time.Duration                   // an attempt in which the store moves nothing for so long (up to twice) has failed; default 15 s
	HTTP         *http.Client                    // default the SDK's
	Clock        clock.Clock                     // default clock.Wall
	Random       io.Reader                       // names of puts; default crypto/rand
}

func (o Options) withDefaults() Options {
	o.Attempts = cmp.Or(o.Attempts, 6)
	o.Stall = cmp.Or(o.Stall, 15*time.Second)
	o.Prefix = strings.Trim(o.Prefix, "/")
	if o.Backoff == nil {
		o.Backoff = func(attempt int) time.Duration { return min(25*time.Millisecond<<min(attempt, 10), 2*time.Second) }
	}
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.Bucket == "":
		return fault.New(fault.Invalid, "s3 bucket: no bucket name")
	case (o.AccessKey == "") != (o.SecretKey == ""):
		return fault.New(fault.Invalid, "s3 bucket %s: an access key and a secret key go together", o.Bucket)
	case o.Attempts < 1:
		return fault.New(fault.Invalid, "s3 bucket %s: %d attempts; want at least 1", o.Bucket, o.Attempts)
	case o.Stall < 0:
		return fault.New(fault.Invalid, "s3 bucket %s: a stall of %s; want a positive duration", o.Bucket, o.Stall)
	case o.Prefix != "" && bucket.CheckName(o.Prefix) != nil:
		return fault.Wrap(fault.Invalid, fmt.Errorf("s3 bucket %s: prefix: %w", o.Bucket, bucket.CheckName(o.Prefix)))
	}
	return nil
}

// Bucket is a bucket in S3.
type Bucket struct {
	o      Options
	client *s3.Client
}

var _ bucket.Bucket = (*Bucket)(nil)

// New opens the bucket and makes sure that it can be reached: a wrong name or
// wrong keys are told here and not at the first event.
func New(ctx context.Context, o Options) (*Bucket, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	load := []func(*config.LoadOptions) error{config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} })}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fault.New(fault.Invalid, "s3 bucket %s: read the AWS configuration: %w", o.Bucket, err)
	}
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	b := &Bucket{o: o, client: s3.NewFromConfig(cfg, func(c *s3.Options) {
		c.UsePathStyle = o.PathStyle
		c.Logger = logging.Nop{} // what it would tell on stderr is told by errors
		if o.HTTP != nil {
			c.HTTPClient = o.HTTP
		}
		if o.Endpoint != "" {
			c.BaseEndpoint = aws.String(o.Endpoint)
		}
		// Checksums are ours: with the SDK's own a body could not be resumed.
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})}
	if err := b.reach(ctx); err != nil {
		return nil, fmt.Errorf("open s3 bucket %s: %w", o.Bucket, err)
	}
	return b, nil
}

func (b *Bucket) reach(ctx context.Context) error {
	err := b.call(ctx, maybeAbsent|maybeBare, func(ctx context.Context, _ *watch) error {
		_, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.o.Bucket})
		return err
	})
	switch {
	case errors.Is(err, bucket.ErrNotFound) && b.o.Create:
		return b.call(ctx, nothing, func(ctx context.Context, _ *watch) error {
			_, err := b.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &b.o.Bucket})
			if code := codeOf(err); code == "BucketAlreadyOwnedByYou" {
				return nil
			}
			return err
		})
	case errors.Is(err, bucket.ErrNotFound):
		return fault.WithHint(fault.New(fault.Invalid, "there is no such bucket"), "make it, or let Create do so")
	}
	return err
}

func (b *Bucket) key(name string) *string {
	if b.o.Prefix != "" {
		name = b.o.Prefix + "/" + name
	}
	return &name
}

// try calls fn until it succeeds or its error is not worth another attempt,
// and gives the error its kind.
func (b *Bucket) try(ctx context.Context, may may, fn func() error) error {
	for attempt := 1; ; attempt++ {
		err := b.kinded(may, fn())
		if err == nil || !again(err) || ctx.Err() != nil {
			return err
		}
		if attempt >= b.o.Attempts {
			return fmt.Errorf("%w (attempt %d, the last)", err, attempt)
		}
		if err := b.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// call is try for calls that are done when fn returns: each attempt has a
// context and a watch of its own.
func (b *Bucket) call(ctx context.Context, may may, fn func(context.Context, *watch) error) error {
	return b.try(ctx, may, func() error {
		w := b.watch(ctx)
		defer w.stop()
		return w.why(fn(w.ctx, w))
	})
}

// again reports whether the next attempt may do better.
func again(err error) bool {
	kind := fault.KindOf(err)
	return kind.Retryable() && kind != fault.Full
}

func (b *Bucket) pause(ctx context.Context, attempt int) error {
	select {
	case <-b.o.Clock.After(b.o.Backoff(attempt)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stat implements bucket.Reader.
func (b *Bucket) Stat(ctx context.Context, name string) (info bucket.Info, err error) {
	if err := bucket.CheckName(name); err != nil {
		return bucket.Info{}, err
	}
	err = b.call(ctx, maybeAbsent|maybeBare, func(ctx context.Context, _ *watch) (err error) {
		info, _, err = b.head(ctx, name)
		return err
	})
	// The answer to a HEAD has no body that would tell an object that is not
	// there from a bucket that is not there.
	if errors.Is(err, bucket.ErrNotFound) {
		gone := b.call(ctx, maybeAbsent|maybeBare, func(ctx context.Context, _ *watch) error {
			_, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.o.Bucket})
			return err
		})
		switch {
		case errors.Is(gone, bucket.ErrNotFound):
			err = b.gone(gone)
		case gone != nil:
			err = gone
		}
	}
	if err != nil {
		return bucket.Info{}, fmt.Errorf("stat %s: %w", name, err)
	}
	return info, nil
}

// head describes an object, with what its put wrote beside it. The error has
// no kind yet.
func (b *Bucket) head(ctx context.Context, name string) (info bucket.Info, meta map[string]string, err error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.o.Bucket, Key: b.key(name)})
	if err != nil {
		return bucket.Info{}, nil, err
	}
	info = bucket.Info{Name: name, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), Modified: aws.ToTime(out.LastModified)}
	return info, out.Metadata, nil
}

// List implements bucket.Reader.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 && bucket.CheckName(prefix[:i]) != nil {
			return // no object's name begins so
		}
		in := &s3.ListObjectsV2Input{Bucket: &b.o.Bucket, Prefix: b.key(prefix)}
		if after != "" {
			in.StartAfter = b.key(after)
		}
		for {
			out, err := b.page(ctx, in)
			if err != nil {
				yield(bucket.Info{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			for _, o := range out.Contents {
				name := strings.TrimPrefix(aws.ToString(o.Key), *b.key(""))
				// Some stores show folders as empty objects.
				if name <= after || bucket.CheckName(name) != nil {
					continue
				}
				if !yield(bucket.Info{Name: name, Size: aws.ToInt64(o.Size), ETag: aws.ToString(o.ETag), Modified: aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
			if !*out.IsTruncated {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

// page asks for one page of a list. To the SDK an answer without a body is a
// list of nothing; to us it is half an answer, as every store says whether
// that was all: an archive that looks empty would begin again.
func (b *Bucket) page(ctx context.Context, in *s3.ListObjectsV2Input) (out *s3.ListObjectsV2Output, err error) {
	err = b.call(ctx, nothing, func(ctx context.Context, _ *watch) (err error) {
		out, err = b.client.ListObjectsV2(ctx, in)
		if err == nil && (out.IsTruncated == nil || *out.IsTruncated && aws.ToString(out.NextContinuationToken) == "") {
			err = fault.New(fault.Transient, "the store's answer does not say where the list ends")
		}
		return err
	})
	return out, err
}

// Delete implements bucket.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := bucket.CheckName(name); err != nil {
		return err
	}
	err := b.call(ctx, maybeAbsent|maybeBare, func(ctx context.Context, _ *watch) error {
		_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.o.Bucket, Key: b.key(name)})
		return err
	})
	if err != nil && !errors.Is(err, bucket.ErrNotFound) {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

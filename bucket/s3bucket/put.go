package s3bucket

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"anabranch/bucket"
	"anabranch/fault"
)

// What a put writes beside the bytes.
const (
	metaSum = "anabranch-sha256" // of the whole object, hex; readers check it
	metaPut = "anabranch-put"    // names this one call of Put, so that it can recognise its own object
)

// Put implements bucket.Bucket. S3 derives the ETag from the content: putting
// the same bytes again leaves it as it was.
//
// A condition can fail because of ourselves: the store wrote the object, its
// answer was lost, the second attempt finds the object there. So whoever
// fails reads whose object it is before saying that somebody else won.
func (b *Bucket) Put(ctx context.Context, name string, body io.ReadSeeker, when bucket.Condition) (string, error) {
	if err := bucket.CheckName(name); err != nil {
		return "", err
	}
	sum, err := sumOf(body)
	if err != nil {
		return "", fault.New(fault.Invalid, "put %s: read the body: %w", name, err)
	}
	var id [16]byte
	if _, err := io.ReadFull(b.o.Random, id[:]); err != nil {
		return "", fault.New(fault.Bug, "put %s: draw a name for the put: %w", name, err)
	}
	in := &s3.PutObjectInput{
		Bucket: &b.o.Bucket, Key: b.key(name),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		Metadata:       map[string]string{metaSum: hex.EncodeToString(sum), metaPut: hex.EncodeToString(id[:])},
	}
	if when.Absent {
		in.IfNoneMatch = aws.String("*")
	}
	if when.Match != "" {
		in.IfMatch = &when.Match
	}
	allowed := nothing
	if when.Absent {
		allowed |= maybeLost
	}
	if when.Match != "" {
		allowed |= maybeLost | maybeAbsent
	}
	var etag string
	err = b.call(ctx, allowed, func(ctx context.Context, w *watch) error {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return fault.New(fault.Invalid, "rewind the body: %w", err)
		}
		in.Body = sent{body, w}
		out, err := b.client.PutObject(ctx, in)
		if err == nil {
			etag = aws.ToString(out.ETag)
			return nil
		}
		if err = b.kinded(allowed, w.why(err)); !errors.Is(err, bucket.ErrCondition) {
			return err
		}
		etag, err = b.whose(ctx, in, when)
		return err
	})
	if errors.Is(err, bucket.ErrNotFound) { // nothing there to match
		err = bucket.ErrCondition
	}
	if err != nil {
		return "", fmt.Errorf("put %s: %w", name, err)
	}
	return etag, nil
}

// whose finds out who won a put whose condition failed: nil when it was the
// put itself.
func (b *Bucket) whose(ctx context.Context, in *s3.PutObjectInput, when bucket.Condition) (string, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key})
	switch {
	case err == nil && out.Metadata[metaPut] == in.Metadata[metaPut]:
		return aws.ToString(out.ETag), nil
	case err == nil && when.Match != "" && aws.ToString(out.ETag) == when.Match,
		when.Absent && errors.Is(b.kinded(maybeBare, err), bucket.ErrNotFound):
		return "", fault.New(fault.Transient, "the store says that the condition does not hold, and it does")
	case err == nil:
		return "", bucket.ErrCondition
	}
	return "", fmt.Errorf("find out who won: %w", b.kinded(nothing, err))
}

func sumOf(body io.ReadSeeker) ([]byte, error) {
	if known, ok := body.(bucket.Summed); ok {
		return known.Sum256(), nil
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

package server

import (
	"context"
	"net/url"
	"path/filepath"
	"time"

	"anabranch/bucket"
	"anabranch/bucket/s3bucket"
	"anabranch/fault"
	"anabranch/internal/disk"
	"anabranch/stream/natslog"
)

// openBucket picks the object store that a URL names.
func openBucket(ctx context.Context, files disk.Files, raw string) (bucket.Bucket, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fault.New(fault.Invalid, "--bucket %q: %v", raw, err)
	}
	switch u.Scheme {
	case "file":
		return bucket.NewFileOn(files, filepath.FromSlash(u.Path))
	case "s3":
		q := u.Query()
		o := s3bucket.Options{Bucket: u.Host, Endpoint: q.Get("endpoint"), Region: q.Get("region"), PathStyle: q.Get("endpoint") != ""}
		if text := q.Get("stall"); text != "" {
			if o.Stall, err = time.ParseDuration(text); err != nil || o.Stall <= 0 {
				return nil, fault.New(fault.Invalid, "--bucket %q: stall %q: want a duration such as 15s", raw, text)
			}
		}
		return s3bucket.New(ctx, o)
	}
	return nil, fault.New(fault.Invalid, "--bucket %q: want file:///path or s3://bucket?endpoint=URL&region=NAME&stall=15s", raw)
}

// openLog opens the log: a NATS server of our own, or one that is running.
func openLog(ctx context.Context, c Config) (*natslog.Store, error) {
	if c.NATS != "" {
		return natslog.Open(ctx, natslog.Options{URL: c.NATS, Logger: c.Logger})
	}
	return natslog.Open(ctx, natslog.Options{Dir: filepath.Join(c.Dir, "log"), Listen: c.NATSListen, MaxBytes: c.LogBytes, MinFree: c.MinFree, Logger: c.Logger})
}

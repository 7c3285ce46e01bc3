package bucket_test

import (
	"testing"

	"anabranch/bucket"
	"anabranch/bucket/buckettest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(*testing.T) bucket.Bucket { return bucket.NewMemory() })
}

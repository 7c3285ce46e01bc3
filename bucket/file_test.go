package bucket_test

import (
	"testing"

	"anabranch/bucket"
	"anabranch/bucket/buckettest"
)

func TestFile(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return openFile(t, t.TempDir()) })
}

func openFile(t *testing.T, dir string) *bucket.File {
	f, err := bucket.NewFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

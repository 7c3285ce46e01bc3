package bucket_test

import (
	"strings"
	"testing"
	"time"

	"anabranch/bucket"
	"anabranch/bucket/buckettest"
	"anabranch/fault"
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

// TestFileSeesTheSameContentPutAgain: an object that was replaced and put back
// is not the one that somebody has read. A store whose ETag comes from content
// cannot tell; a folder can.
func TestFileSeesTheSameContentPutAgain(t *testing.T) {
	t.Parallel()
	f := openFile(t, t.TempDir())
	put := func(text string) string {
		etag, err := f.Put(t.Context(), "a", strings.NewReader(text), bucket.Condition{})
		if err != nil {
			t.Fatal(err)
		}
		return etag
	}
	first := put("one")
	put("two")
	// Clocks of file systems have ticks, of some milliseconds in older kernels.
	for until := time.Now().Add(2 * time.Second); put("one") == first; {
		if time.Now().After(until) {
			t.Fatalf("both writes are %s", first)
		}
	}
	if _, err := f.Put(t.Context(), "a", strings.NewReader("three"), bucket.Condition{Match: first}); !fault.Is(err, fault.Conflict) {
		t.Errorf("replace what was read before: %v", err)
	}
}

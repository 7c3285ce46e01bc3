package bucket_test

import (
	"crypto/sha256"
	"io"
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
	for until := time.Now().Add(time.Minute); put("one") == first; {
		if time.Now().After(until) {
			t.Fatalf("both writes are %s", first)
		}
	}
	if _, err := f.Put(t.Context(), "a", strings.NewReader("three"), bucket.Condition{Match: first}); !fault.Is(err, fault.Conflict) {
		t.Errorf("replace what was read before: %v", err)
	}
}

// summed is a body that knows its SHA-256.
type summed struct{ *strings.Reader }

func (k summed) Sum256() []byte {
	var b strings.Builder
	text := io.NewSectionReader(k.Reader, 0, k.Reader.Size())
	if _, err := io.Copy(&b, text); err != nil {
		panic(err)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return sum[:]
}

// TestFileTakesTheSumOfABody: one that knows its SHA-256 is the object that it
// is without, and damage is found in it, too.
func TestFileTakesTheSumOfABody(t *testing.T) {
	t.Parallel()
	f := openFile(t, t.TempDir())
	const text = "what is put"
	var sums []string
	for _, body := range []io.ReadSeeker{strings.NewReader(text), summed{strings.NewReader(text)}} {
		etag, err := f.Put(t.Context(), "a", body, bucket.Condition{})
		if err != nil {
			t.Fatal(err)
		}
		sum, _, _ := strings.Cut(etag, "-")
		sums = append(sums, sum)
	}
	if sums[0] != sums[1] {
		t.Fatalf("sums %v", sums)
	}
}

package packed

import (
	"bytes"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"anabranch/fault"
)

func TestRoundTripAndEveryFlippedBit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", strings.Repeat("one line and another\n", 40)} {
		object, err := Pack([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unpack("a", object)
		if err != nil || string(got) != text {
			t.Fatalf("got %q %v", got, err)
		}
		for i := range len(object) * 8 {
			bad := bytes.Clone(object)
			bad[i/8] ^= 1 << (i % 8)
			if _, err := Unpack("some/name", bad); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "some/name") {
				t.Fatalf("bit %d flipped: %v", i, err)
			}
		}
		for n := range len(object) {
			if _, err := Unpack("a", object[:n]); !fault.Is(err, fault.Corrupt) {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
	}
}

func TestAnyZstdToolReadsIt(t *testing.T) {
	t.Parallel()
	object, err := Pack([]byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := zstd.NewReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil || text.String() != "plain" {
		t.Fatalf("got %q %v", text.String(), err)
	}
}

// TestSeveralFrames: a text may come in parts, which are as well guarded.
func TestSeveralFrames(t *testing.T) {
	t.Parallel()
	var frames [][]byte
	want := ""
	for _, part := range []string{"one", strings.Repeat("two ", 300_000), "", strings.Repeat("\x00", 200_000), "end"} {
		f, err := Frame([]byte(part))
		if err != nil {
			t.Fatal(err)
		}
		frames, want = append(frames, f), want+part
	}
	object := Seal(frames...)
	got, err := Unpack("a", object)
	if err != nil || string(got) != want || size(object[overhead:]) != len(want) {
		t.Fatalf("%d bytes, said to be %d: %v", len(got), size(object[overhead:]), err)
	}
	for i := range object {
		bad := bytes.Clone(object)
		bad[i] ^= 1
		if _, err := Unpack("a", bad); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("byte %d: %v", i, err)
		}
		size(bad[min(i, overhead):])
		size(object[i:])
	}
}

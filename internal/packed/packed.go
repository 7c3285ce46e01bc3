// Package packed is how small texts (manifests, notes, dead letters) rest in
// an object: compressed, readable with any zstd tool, and with a checksum that
// no flipped bit gets past.
//
//	offset  bytes  what
//	0       4      50 2a 4d 18: a zstd skippable frame, which tools pass over
//	4       4      20 00 00 00: its length, 32
//	8       32     SHA-256 of everything behind it
//	40      ...    one zstd frame with the text
package packed

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Error is what this package reports. It stands on the lowest floor, so it
// names its kind for package fault instead of importing it.
type Error struct {
	Kind string // "corrupt" or "bug", as in package fault
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// FaultKind tells package fault the kind of the error.
func (e *Error) FaultKind() string { return e.Kind }

func corrupt(name, format string, args ...any) error {
	return &Error{"corrupt", fmt.Errorf("read %s: "+format, append([]any{name}, args...)...)}
}

const (
	head     = "\x50\x2a\x4d\x18\x20\x00\x00\x00"
	overhead = len(head) + sha256.Size
	// maxText bounds what Unpack takes in memory.
	maxText = 4 << 30
)

// Scratch between calls: an encoder's tables and windows take longer to make
// than most texts take to pack. Nothing in them outlives a call.
var encoders, decoders sync.Pool

// Pack returns the object that holds text.
func Pack(text []byte) ([]byte, error) {
	enc, _ := encoders.Get().(*zstd.Encoder)
	if enc == nil {
		var err error
		if enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
			return nil, &Error{"bug", err}
		}
	}
	defer encoders.Put(enc)
	out := append(make([]byte, 0, overhead+len(text)/4+64), head...)
	out = append(out, make([]byte, sha256.Size)...)
	out = enc.EncodeAll(text, out)
	sum := sha256.Sum256(out[overhead:])
	copy(out[len(head):], sum[:])
	return out, nil
}

// Unpack returns the text that object holds. The error is Corrupt and names
// the object.
func Unpack(name string, object []byte) ([]byte, error) {
	if len(object) < overhead || string(object[:len(head)]) != head {
		return nil, corrupt(name, "its %d bytes do not begin with a checksum", len(object))
	}
	sum := sha256.Sum256(object[overhead:])
	if !bytes.Equal(sum[:], object[len(head):overhead]) {
		return nil, corrupt(name, "its bytes do not match their checksum")
	}
	dec, _ := decoders.Get().(*zstd.Decoder)
	if dec == nil {
		var err error
		if dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxText)); err != nil {
			return nil, &Error{"bug", err}
		}
	}
	defer decoders.Put(dec)
	text, err := dec.DecodeAll(object[overhead:], nil)
	if err != nil {
		return nil, corrupt(name, "%w", err)
	}
	return text, nil
}

// Package packed is how small texts (manifests, notes, dead letters) rest in
// an object: compressed, readable with any zstd tool, and with a checksum that
// no flipped bit gets past.
//
//	offset  bytes  what
//	0       4      50 2a 4d 18: a zstd skippable frame, which tools pass over
//	4       4      20 00 00 00: its length, 32
//	8       32     SHA-256 of everything behind it
//	40      ...    zstd frames; what they hold, one behind the other, is the
//	               text. Nearly always it is one.
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
	// spare is what the decoder likes to have behind what it decodes.
	spare = 16
)

// Scratch between calls: an encoder's tables and windows take longer to make
// than most texts take to pack. Nothing in them outlives a call.
var encoders, decoders sync.Pool

// Pack returns the object that holds text.
func Pack(text []byte) ([]byte, error) {
	frame, err := Frame(text)
	if err != nil {
		return nil, err
	}
	return Seal(frame), nil
}

// Frame returns a zstd frame that holds a part of a text.
func Frame(text []byte) ([]byte, error) {
	enc, _ := encoders.Get().(*zstd.Encoder)
	if enc == nil {
		var err error
		if enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
			return nil, &Error{"bug", err}
		}
	}
	defer encoders.Put(enc)
	return enc.EncodeAll(text, make([]byte, 0, len(text)/4+64)), nil
}

// Seal returns the object that holds the text whose parts the frames hold.
func Seal(frames ...[]byte) []byte {
	size := overhead
	for _, f := range frames {
		size += len(f)
	}
	out := append(make([]byte, 0, size), head...)
	out = append(out, make([]byte, sha256.Size)...)
	for _, f := range frames {
		out = append(out, f...)
	}
	sum := sha256.Sum256(out[overhead:])
	copy(out[len(head):], sum[:])
	return out
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
	text, err := dec.DecodeAll(object[overhead:], make([]byte, 0, size(object[overhead:])+spare))
	if err != nil {
		return nil, corrupt(name, "%w", err)
	}
	return text, nil
}

// size returns how long the text of some frames is, at least as far as they say
// it themselves: the decoder would make room for each of them anew.
func size(frames []byte) int {
	total := uint64(0)
	for len(frames) > 0 {
		var h zstd.Header
		if h.Decode(frames) != nil || h.Skippable {
			break
		}
		at, known := h.HeaderSize, h.FrameContentSize
		for last := false; !last; {
			if at+3 > len(frames) {
				return int(total)
			}
			block := int(frames[at]) | int(frames[at+1])<<8 | int(frames[at+2])<<16
			last = block&1 == 1
			if kind, n := block>>1&3, block>>3; kind == 1 { // one byte, n times
				at += 3 + 1
			} else {
				at += 3 + n
				if !h.HasFCS && kind == 0 { // as short texts are
					known += uint64(n)
				}
			}
		}
		if h.HasCheckSum {
			at += 4
		}
		if known > maxText || total+known > maxText || at > len(frames) {
			break
		}
		total += known
		frames = frames[at:]
	}
	return int(total)
}

package schemas

import (
	"anabranch/event"
	"anabranch/fault"
)

// FrameBuilder gathers events of one schema into the body of a frame. It is
// not safe for concurrent use.
type FrameBuilder struct{}

// NewFrameBuilder returns an empty builder of frames of s.
func (s *Schema) NewFrameBuilder() *FrameBuilder { return &FrameBuilder{} }

// Append adds the given rows of b, all when rows is nil. B has the shape of
// the builder's schema and IDs and Hashes; it is not kept.
func (f *FrameBuilder) Append(b *event.Batch, rows []uint32) {}

// Len returns the number of events gathered.
func (f *FrameBuilder) Len() int { return 0 }

// Bytes estimates the size of the body.
func (f *FrameBuilder) Bytes() int { return 0 }

// Finish returns the body and empties the builder.
func (f *FrameBuilder) Finish() ([]byte, error) {
	return nil, fault.New(fault.Bug, "schemas.FrameBuilder is not built yet")
}

// DecodeFrame reads a body that FrameBuilder made with s. The batch points
// into body where it can, so body must not change any more. Anything odd is
// Corrupt; the checksum of the frame has been checked before, so that it
// happens only when the frame was written with another schema.
func (s *Schema) DecodeFrame(body []byte) (*event.Batch, error) {
	return nil, fault.New(fault.Bug, "schemas.DecodeFrame is not built yet")
}

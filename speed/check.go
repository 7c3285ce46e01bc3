package speed

import (
	"encoding/binary"
	"hash/crc32"

	"anabranch/fault"
)

// CheckSnapshot reports whether the bytes of a snapshot are whole; the error
// is Corrupt. Whether it is of use only a Speed can tell.
func CheckSnapshot(data []byte) error {
	if len(data) < snapshotHead || string(data[:4]) != snapshotMagic {
		return fault.New(fault.Corrupt, "%d bytes that do not begin with %q", len(data), snapshotMagic)
	}
	if v := binary.LittleEndian.Uint32(data[4:]); v != snapshotVersion {
		return fault.New(fault.Corrupt, "version %d; this program reads version %d", v, snapshotVersion)
	}
	body := data[snapshotHead:]
	if n := binary.LittleEndian.Uint64(data[8:]); n != uint64(len(body)) {
		return fault.New(fault.Corrupt, "it holds %d bytes behind its header, which announces %d", len(body), n)
	}
	if want, got := binary.LittleEndian.Uint32(data[16:]), crc32.Checksum(body, castagnoli); want != got {
		return fault.New(fault.Corrupt, "checksum is %08x, its bytes give %08x", want, got)
	}
	return nil
}

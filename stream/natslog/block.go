package natslog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"os"

	"github.com/minio/highwayhash"
)

// A block of JetStream's file store is a row of records, little-endian:
//
//	offset  bytes  what
//	0       4      length of the record; bit 31: it has headers
//	4       8      sequence; bit 63: erased, bit 62: a tombstone
//	12      8      time
//	20      2      length of the subject
//	22      ...    subject, [length and bytes of headers,] payload
//	end-8   8      HighwayHash-64 of sequence, time, subject and payload, keyed
//	               with the SHA-256 of "<stream>-<number of the block>"
const (
	blockHead   = 22
	blockSum    = 8
	hasHeaders  = 1 << 31
	seqErased   = 1 << 63
	seqTomb     = 1 << 62
	longestMade = 32 << 20
)

// badBytes is a stretch of a block that is not records.
type badBytes struct {
	block          int
	at             int64
	before, behind uint64 // the records around it; behind is 0 at the end of the block
	why            string
}

func keyed(name string) hash.Hash64 {
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	return h
}

// metaSum is what the server puts beside the configuration of a stream.
func metaSum(stream string, text []byte) string {
	h := keyed(stream)
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}

// blockRecord is one record as it was found.
type blockRecord struct {
	seq     uint64
	subject []byte
	payload []byte
	size    int
}

// parseRecord reads the record at the begin of b, or says why there is none.
func parseRecord(b []byte, h hash.Hash64) (r blockRecord, why string) {
	le := binary.LittleEndian
	if len(b) < blockHead {
		return r, fmt.Sprintf("%d bytes, a record has more", len(b))
	}
	length, subject := le.Uint32(b), int(le.Uint16(b[20:]))
	if length&hasHeaders != 0 { // not under the checksum; ours have none
		return r, "a record with headers"
	}
	r.size = int(length)
	if r.size > longestMade || r.size > len(b) || r.size < blockHead+subject+blockSum {
		return r, fmt.Sprintf("a record of %d bytes, %d follow", r.size, len(b))
	}
	body := b[blockHead : r.size-blockSum]
	h.Reset()
	h.Write(b[4:20])
	h.Write(body[:subject])
	r.subject, r.payload = body[:subject], body[subject:]
	h.Write(r.payload)
	if !bytes.Equal(h.Sum(nil), b[r.size-blockSum:r.size]) {
		return r, "a record that does not match its checksum"
	}
	r.seq = le.Uint64(b[4:])
	return r, ""
}

// holds reports whether r is a record of ours, not the mark of one that was
// deleted.
func (r *blockRecord) holds() bool { return r.seq > 0 && r.seq&(seqErased|seqTomb) == 0 }

// scan finds the records of a block, also those behind damage.
func (p *filesPart) scan(block int, stream, subject string) ([]badBytes, error) {
	path := p.blocks[block]
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, diskFault(err, "read %s", path)
	}
	p.sizes = append(p.sizes, int64(len(data)))
	h := keyed(fmt.Sprintf("%s-%d", stream, blockNumber(path)))
	var bad []badBytes
	last := uint64(0)
	if n := len(p.records); n > 0 {
		last = p.records[n-1].offset
	}
	for at := 0; at < len(data); {
		r, why := parseRecord(data[at:], h)
		if why == "" && r.holds() && string(r.subject) != subject {
			// The checksum is over subject and payload in a row: that one
			// ends where the other begins is for us to see.
			why = fmt.Sprintf("a record of subject %q", r.subject)
		}
		if why != "" {
			b := badBytes{block: block, at: int64(at), before: last, why: why}
			at, b.behind = resync(data, at+1, subject, h)
			bad = append(bad, b)
			continue
		}
		if r.holds() {
			p.records = append(p.records, recordAt{r.seq, int64(at + r.size - blockSum - len(r.payload)), int32(len(r.payload)), int32(block)})
			last = r.seq
		}
		at += r.size
	}
	return bad, nil
}

// resync finds the next whole record from at on, by its subject.
func resync(data []byte, at int, subject string, h hash.Hash64) (next int, seq uint64) {
	for {
		i := bytes.Index(data[min(at, len(data)):], []byte(subject))
		if i < 0 {
			return len(data), 0
		}
		next = at + i - blockHead
		at += i + 1
		if next < 0 {
			continue
		}
		if r, why := parseRecord(data[next:], h); why == "" && r.holds() && string(r.subject) == subject {
			return next, r.seq
		}
	}
}

package batch

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"anabranch/archive"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
)

// conflict is an event with the id of an earlier one and other content.
type conflict struct {
	b               *event.Batch
	i               int
	at, first       event.Position
	hash, firstHash uint64
}

// putConflicts stores the conflicting copies of one segment as dead letters.
// What is a conflict depends on the log alone, so whoever compacts the segment
// again, in whatever run, puts the same letters under the same name.
func (r *Runner) putConflicts(ctx context.Context, s archive.Segment, losers []conflict) error {
	if len(losers) == 0 {
		return nil
	}
	request := fmt.Sprintf("conflict-p%04d-%020d", s.Partition, s.From)
	received, err := r.firstSeen(ctx, request)
	if err != nil {
		return err
	}
	letters := make([]deadletter.Letter, len(losers))
	for i, c := range losers {
		letters[i] = deadletter.Letter{
			Code: "conflict", Kind: fault.Conflict.String(), Received: received,
			Message: fmt.Sprintf("the event at %s has the same id and other content; the first in log order counts", c.first),
			Source:  s.Name, Raw: rowJSON(c.b, c.i), Position: c.at.String(), First: c.first.String(),
			ContentHash: fmt.Sprintf("%016x", c.hash), FirstHash: fmt.Sprintf("%016x", c.firstHash),
			SchemaVersion: r.Schemas.Newest().Version(),
		}
	}
	return r.Letters.Put(ctx, request, letters)
}

// firstSeen returns when these letters were first put: letters are filed by
// that day, and those that are put again on another day must not be doubled.
func (r *Runner) firstSeen(ctx context.Context, request string) (at time.Time, err error) {
	now, err := json.Marshal(r.Clock.Now().UTC())
	if err != nil {
		return at, fault.Wrap(fault.Bug, err)
	}
	name := request + ".json"
	first, err := r.Archive.Once(ctx, name, now)
	if err != nil {
		return at, err
	}
	if err := json.Unmarshal(first, &at); err != nil {
		return at, fault.New(fault.Corrupt, "when %s was first seen: %w", name, err)
	}
	return at, nil
}

// MendFirstSeen makes a damaged time of firstSeen again, given its name in
// archive.Once: the letters bear it. Without letters it is forgotten.
func MendFirstSeen(ctx context.Context, a *archive.Archive, letters *deadletter.Store, name string) error {
	at, ok, err := letters.Received(ctx, strings.TrimSuffix(name, ".json"))
	if err != nil {
		return err
	}
	if !ok {
		return a.MendOnce(ctx, name, nil)
	}
	text, err := json.Marshal(at.UTC())
	if err != nil {
		return err
	}
	return a.MendOnce(ctx, name, text)
}

// rowJSON renders a row as one JSON object. The bytes as they were received
// are gone; this is what was read from them.
func rowJSON(b *event.Batch, i int) []byte {
	var out bytes.Buffer
	out.WriteByte('{')
	for c := range b.Columns {
		if c > 0 {
			out.WriteByte(',')
		}
		name, _ := json.Marshal(b.Shape.Fields[c].Name)
		out.Write(name)
		out.WriteByte(':')
		out.Write(valueJSON(&b.Columns[c], i))
	}
	out.WriteByte('}')
	return out.Bytes()
}

func valueJSON(c *event.Column, i int) []byte {
	if !c.Valid.Get(i) {
		return []byte("null")
	}
	text := func(s string) []byte { v, _ := json.Marshal(s); return v }
	switch c.Type.Kind {
	case event.Bool:
		return strconv.AppendBool(nil, c.Ints[i] != 0)
	case event.Int32, event.Int64:
		return strconv.AppendInt(nil, c.Ints[i], 10)
	case event.Float64:
		if v, err := json.Marshal(c.Floats[i]); err == nil {
			return v
		}
		return text(strconv.FormatFloat(c.Floats[i], 'g', -1, 64)) // NaN and the infinities
	case event.Decimal:
		if c.Type.Storage() == event.InWide {
			return []byte(c.Wide[i].FormatDecimal(int(c.Type.Scale)))
		}
		return []byte(event.Int128Of(c.Ints[i]).FormatDecimal(int(c.Type.Scale)))
	case event.Huge:
		return []byte(c.Wide[i].String())
	case event.Timestamp:
		return text(time.UnixMicro(c.Ints[i]).UTC().Format("2006-01-02T15:04:05.999999"))
	case event.Date:
		return text(dayName(int32(c.Ints[i])))
	case event.Bytes:
		return text(base64.StdEncoding.EncodeToString(c.Bytes(i)))
	}
	return text(string(c.Bytes(i)))
}

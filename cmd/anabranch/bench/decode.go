package bench

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"

	"anabranch/fault"
	"anabranch/schemas"
)

// decodeEvents is how many events a decoder is given at once.
const decodeEvents = 500_000

// bodyFile writes the first payments of a task as NDJSON, for both sides.
func bodyFile(t *Task) (string, error) {
	path := filepath.Join(t.Dir, "body.ndjson")
	p := NewPayments(t.Data.Seed, decodeEvents, t.Data.Cards)
	var body []byte
	for i := range decodeEvents {
		body = p.AppendJSON(body, i)
	}
	return path, os.WriteFile(path, body, 0o644)
}

// decodeJob decodes NDJSON into columns with ids, content hashes and key
// hashes, as the gateway does.
type decodeJob struct {
	body    []byte
	decoder *schemas.Decoder
	sum     int64
}

func newDecodeJob(_ context.Context, t *Task) (job, error) {
	schema, err := schemas.Parse(1, []byte(paymentsAvro))
	if err != nil {
		return nil, err
	}
	j := &decodeJob{}
	if j.decoder, err = schema.NewDecoder(schemas.NDJSON, paymentsIdentity); err != nil {
		return nil, err
	}
	if j.body, err = os.ReadFile(filepath.Join(t.Dir, "body.ndjson")); err != nil {
		return nil, fault.Wrap(fault.Invalid, err)
	}
	return j, nil
}

func (j *decodeJob) run(context.Context) (int64, error) {
	j.sum = 0
	n := int64(0)
	j.decoder.Reset(bytes.NewReader(j.body))
	for {
		rows, err := j.decoder.Next()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if len(rows.Bad) > 0 {
			return n, fault.New(fault.Invalid, "%s", rows.Bad[0].Message)
		}
		n += int64(rows.Batch.N)
		for _, v := range rows.Batch.Column("amount").Ints {
			j.sum += v
		}
		j.decoder.GiveBack() // as the gateway does
	}
}

// figures tells the sum of all amounts, in cents, which both sides must find.
func (j *decodeJob) figures() map[string]float64 { return map[string]float64{"sum": float64(j.sum)} }

func (j *decodeJob) answer(context.Context, []string) error { return nil }
func (j *decodeJob) close()                                 {}

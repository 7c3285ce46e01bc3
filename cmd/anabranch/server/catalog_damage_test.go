package server

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/soak"
	"anabranch/internal/spoil"
)

// TestDamagedDefinitions damages a definition; -damage says how often. What is
// read is the definition that was stored, or an error.
func TestDamagedDefinitions(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	run := soak.Open(t, "damage-definitions", seed)
	b := bucket.NewMemory()
	c := &catalog{bucket: b, clock: clock.Wall}
	if err := c.put(t.Context(), smallEntry()); err != nil {
		t.Fatal(err)
	}
	const name = "definitions/small/00000001.json"
	body, _, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	good, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	file := spoil.File{
		Kind: "definition", Name: name, Data: good,
		Corrupt: func(err error) bool { return fault.Is(err, fault.Corrupt) },
		Read: func(bad []byte) (string, error) {
			if _, err := b.Put(t.Context(), name, bytes.NewReader(bad), bucket.Condition{}); err != nil {
				return "", err
			}
			history, err := c.history(t.Context(), "small")
			if err != nil {
				return "", err
			}
			text, err := json.Marshal(history[0])
			return string(text), err
		},
	}
	file.EveryBit(t)
	file.Each(t, rand.New(rand.NewPCG(seed, 1)), run)
}

// A key in another case is read all the same, and damage.
func TestDamagedKeyOfADefinition(t *testing.T) {
	t.Parallel()
	b := bucket.NewMemory()
	c := &catalog{bucket: b, clock: clock.Wall}
	if err := c.put(t.Context(), smallEntry()); err != nil {
		t.Fatal(err)
	}
	const name = "definitions/small/00000001.json"
	body, _, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(t.Context(), name); err != nil {
		t.Fatal("as it was written:", err)
	}
	bad := bytes.Replace(text, []byte(`"format"`), []byte(`"foRmat"`), 1)
	if _, err := b.Put(t.Context(), name, bytes.NewReader(bad), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(t.Context(), name); bytes.Equal(bad, text) || !fault.Is(err, fault.Corrupt) {
		t.Error("with another letter in a key:", err)
	}
}

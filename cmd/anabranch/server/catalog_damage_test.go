package server

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/soak"
	"anabranch/internal/spoil"
)

const smallName = "definitions/small/00000001.json"

// smallCatalog has one definition, stored under smallName as text.
func smallCatalog(t *testing.T) (b *bucket.Memory, c *catalog, text []byte) {
	t.Helper()
	b = bucket.NewMemory()
	c = &catalog{bucket: b, clock: clock.Wall}
	if err := c.put(t.Context(), smallEntry()); err != nil {
		t.Fatal(err)
	}
	body, _, err := b.Get(t.Context(), smallName)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = io.ReadAll(body); err != nil {
		t.Fatal(err)
	}
	return b, c, text
}

// TestDamagedDefinitions damages a definition; -damage says how often. What is
// read is the definition that was stored, or an error.
func TestDamagedDefinitions(t *testing.T) {
	t.Parallel()
	seed := spoil.Seed()
	run := soak.Open(t, "damage-definitions", seed)
	b, c, good := smallCatalog(t)
	file := spoil.File{
		Kind: "definition", Name: smallName, Data: good,
		Corrupt: func(err error) bool { return fault.Is(err, fault.Corrupt) },
		Read: func(bad []byte) (string, error) {
			if _, err := b.Put(t.Context(), smallName, bytes.NewReader(bad), bucket.Condition{}); err != nil {
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
	b, c, text := smallCatalog(t)
	if _, err := c.read(t.Context(), smallName); err != nil {
		t.Fatal("as it was written:", err)
	}
	bad := bytes.Replace(text, []byte(`"format"`), []byte(`"foRmat"`), 1)
	if _, err := b.Put(t.Context(), smallName, bytes.NewReader(bad), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(t.Context(), smallName); bytes.Equal(bad, text) || !fault.Is(err, fault.Corrupt) {
		t.Error("with another letter in a key:", err)
	}
}

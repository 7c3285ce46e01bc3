package deadletter

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"

	"anabranch/fault"
)

// noted is a Release at rest: with a sum, so that a flipped bit does not make
// it another one. Those of old have none.
type noted struct {
	Release
	Sum string `json:"sum,omitempty"` // SHA-256 of the JSON of Release, in hex
}

func sumOf(r Release) (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fault.Wrap(fault.Bug, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func sealed(r Release) ([]byte, error) {
	sum, err := sumOf(r)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(noted{r, sum})
	return text, fault.Wrap(fault.Bug, err)
}

func unsealed(data []byte) (*Release, error) {
	var n noted
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // a damaged key is no missing one
	if err := d.Decode(&n); err != nil {
		return nil, fault.New(fault.Corrupt, "it is not a release: %w", err)
	}
	if _, err := d.Token(); err != io.EOF { // a damaged quote ends everything early, the sum too
		return nil, fault.New(fault.Corrupt, "it goes on behind its end")
	}
	if n.Sum == "" {
		return &n.Release, nil
	}
	sum, err := sumOf(n.Release)
	if err != nil {
		return nil, err
	}
	if sum != n.Sum {
		return nil, fault.New(fault.Corrupt, "its SHA-256 is %s, what was written has %s", sum, n.Sum)
	}
	return &n.Release, nil
}

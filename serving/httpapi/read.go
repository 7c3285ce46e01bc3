package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"anabranch/fault"
)

// ReadJSON reads the body of a request, which is one JSON object of at most
// limit bytes, into what into points to.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	if _, err := mediaOf(r); err != nil {
		return err
	}
	return readObject(http.MaxBytesReader(w, r.Body, limit), into)
}

// mediaOf returns which of others a body is, "" when it is JSON. A body that
// does not say, or says what curl does of itself, is taken for JSON.
func mediaOf(r *http.Request, others ...string) (string, error) {
	text := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(text)
	switch {
	case text == "", media == "application/json", media == "application/x-www-form-urlencoded":
		return "", nil
	case err == nil && slices.Contains(others, media):
		return media, nil
	}
	return "", fault.WithCode(fault.New(fault.Invalid, "Content-Type %.100q: want %s", text, strings.Join(append([]string{"application/json"}, others...), ", ")), Unsupported)
}

func readObject(body io.Reader, into any) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return notRead(err)
	}
	if err := wholeTexts(text); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	// Decoded through an interface null is told from an object.
	if err := d.Decode(&into); err != nil {
		return notRead(err)
	}
	if into == nil {
		return fault.New(fault.Invalid, "the request's JSON is null: want an object, {} at least")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "read the request's JSON: there is something behind its end")
	}
	return onceEach(text)
}

func notRead(err error) error {
	var long *http.MaxBytesError
	var told *fault.Error
	switch {
	case errors.As(err, &told):
		return err
	case errors.As(err, &long):
		return fault.WithCode(fault.New(fault.Invalid, "the request is longer than %d bytes", long.Limit), TooLarge)
	case errors.Is(err, io.EOF):
		return fault.New(fault.Invalid, "the request has no body: want JSON, {} at least")
	}
	return fault.New(fault.Invalid, "read the request: %v", err)
}

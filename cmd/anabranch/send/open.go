package send

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"anabranch/fault"
	"anabranch/schemas"
)

// Open opens a file of events, or standard input for "-", and takes off gzip
// or zstd, which it knows by the first bytes. raw counts what was read of the
// file itself. The format comes from the name when it is not given.
func Open(name string, format Format, stdin io.Reader, raw io.Writer) (io.ReadCloser, Format, error) {
	format, err := formatOf(name, format)
	if err != nil {
		return nil, "", err
	}
	var file io.ReadCloser = io.NopCloser(stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, "", fault.Wrap(fault.Invalid, err)
		}
		file = f
	}
	plain, err := schemas.Plain(io.TeeReader(file, raw))
	if err != nil {
		file.Close()
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return both{plain, file}, format, nil
}

type both struct {
	io.ReadCloser
	file io.Closer
}

func (b both) Close() error {
	b.ReadCloser.Close()
	return b.file.Close()
}

func formatOf(name string, given Format) (Format, error) {
	switch given {
	case CSV, NDJSON, JSON:
		return given, nil
	case "":
	default:
		return "", fault.New(fault.Invalid, "--format %q: want csv, ndjson or json", given)
	}
	base := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(filepath.Base(name)), ".gz"), ".zst")
	switch filepath.Ext(base) {
	case ".csv":
		return CSV, nil
	case ".ndjson", ".jsonl":
		return NDJSON, nil
	case ".json":
		return JSON, nil
	}
	return "", fault.New(fault.Invalid, "%s: the name does not tell the format: add --format csv, ndjson or json", name)
}

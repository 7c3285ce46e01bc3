package ingest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// tooLarge says that a body is over one of its limits.
type tooLarge struct {
	what  string
	limit int64
}

func (t *tooLarge) Error() string {
	return fmt.Sprintf("the body is over %d bytes %s", t.limit, t.what)
}

// limited reads up to limit bytes and fails at the next one.
type limited struct {
	io.Reader
	left, limit int64
	what        string
}

func limit(r io.Reader, n int64, what string) io.Reader {
	return &limited{r, n, n, what}
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.Reader.Read(p)
	if int64(n) > l.left {
		n = int(l.left)
		l.left = 0
		return n, &tooLarge{l.what, l.limit}
	}
	l.left -= int64(n)
	return n, err
}

// unpack returns body unpacked as its Content-Encoding says, bounded on both
// sides. Close releases the unpacker, not the body. The error is nil when the
// encoding is known.
func unpack(body io.Reader, encoding string, l Limits) (io.ReadCloser, bool) {
	body = limit(body, l.Wire, "as sent")
	switch encoding {
	case "", "identity":
		return io.NopCloser(limit(body, l.Decoded, "of events")), true
	case "gzip", "x-gzip":
		return &unpacker{body: body, limits: l, open: func(r io.Reader) (io.Reader, func(), error) {
			z, err := gzip.NewReader(r)
			return z, func() {}, err
		}}, true
	case "zstd":
		return &unpacker{body: body, limits: l, open: func(r io.Reader) (io.Reader, func(), error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(64<<20))
			if err != nil {
				return nil, nil, err
			}
			return z, z.Close, nil
		}}, true
	}
	return nil, false
}

// unpacker opens its decompressor at the first read: a refused request never
// pays for it.
type unpacker struct {
	body   io.Reader
	limits Limits
	open   func(io.Reader) (io.Reader, func(), error)
	from   io.Reader
	close  func()
	failed error
}

func (u *unpacker) Read(p []byte) (int, error) {
	if u.failed != nil {
		return 0, u.failed
	}
	if u.from == nil {
		from, done, err := u.open(u.body)
		if err != nil {
			u.failed = fmt.Errorf("unpack the body: %w", err)
			return 0, u.failed
		}
		u.from, u.close = limit(from, u.limits.Decoded, "unpacked"), done
	}
	n, err := u.from.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("unpack the body: %w", err)
	}
	return n, err
}

func (u *unpacker) Close() error {
	if u.close != nil {
		u.close()
		u.close = nil
	}
	return nil
}

// single reports whether a JSON body is one object, not an array, by its first
// byte that is no blank; it returns the body from its beginning.
func single(body io.Reader) (io.Reader, bool) {
	b := bufio.NewReaderSize(body, 4096)
	for n := 1; n <= b.Size(); n++ {
		head, err := b.Peek(n)
		if c := bytes.TrimLeft(head, " \t\r\n"); len(c) > 0 {
			return b, c[0] == '{'
		}
		if err != nil {
			break // the decoder meets it again
		}
	}
	return b, false
}

package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"anabranch/fault"
)

// Local returns the path of a verified copy of an object on local disk,
// fetching it when it is not there. The copy stays until release is called
// (twice is fine) and then for as long as the cache has room. Corrupt when
// the object is not the one of that size and sum; Invalid without a CacheDir.
func (a *Archive) Local(ctx context.Context, name string, size int64, sum string) (path string, release func(), err error) {
	if a.cache == nil {
		return "", func() {}, fault.New(fault.Invalid, "fetch %s: the archive was opened without a cache directory", name)
	}
	it, err := a.cache.acquire(ctx, name, size, sum)
	if err != nil {
		return "", func() {}, err
	}
	var once sync.Once
	return it.path, func() { once.Do(func() { a.cache.release(it) }) }, nil
}

// open returns a verified object to read from, by way of the cache when there
// is one. Release is to be called behind the last read.
func (a *Archive) open(ctx context.Context, name string, size int64, sum string) (r io.ReaderAt, release func(), err error) {
	if a.cache == nil {
		data, err := a.fetch(ctx, name, size, sum)
		if err != nil {
			return nil, func() {}, err
		}
		return bytes.NewReader(data), func() {}, nil
	}
	path, unpin, err := a.Local(ctx, name, size, sum)
	if err != nil {
		return nil, func() {}, err
	}
	file, err := a.cache.disk.Open(path)
	if err != nil {
		unpin()
		return nil, func() {}, fmt.Errorf("open the copy of %s: %w", name, diskFault(err))
	}
	return file, func() { file.Close(); unpin() }, nil
}

// fetch returns a verified object.
func (a *Archive) fetch(ctx context.Context, name string, size int64, sum string) ([]byte, error) {
	data, err := a.get(ctx, name)
	if err != nil {
		return nil, err
	}
	got := sha256.Sum256(data)
	if err := checkSum(name, size, sum, int64(len(data)), got[:]); err != nil {
		return nil, err
	}
	return data, nil
}

// get returns a whole object.
func (a *Archive) get(ctx context.Context, name string) ([]byte, error) {
	body, info, err := a.bucket.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	data := bytes.NewBuffer(make([]byte, 0, info.Size+bytes.MinRead)) // it never grows
	_, err = data.ReadFrom(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	return data.Bytes(), nil
}

func checkSum(name string, size int64, sum string, gotSize int64, got []byte) error {
	if gotSize != size {
		return fault.New(fault.Corrupt, "fetch %s: it has %d bytes, %d were written", name, gotSize, size)
	}
	if s := hex.EncodeToString(got); s != sum {
		return fault.New(fault.Corrupt, "fetch %s: its SHA-256 is %s, what was written has %s", name, s, sum)
	}
	return nil
}

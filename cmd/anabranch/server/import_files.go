package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"anabranch/bucket"
	"anabranch/bucket/s3bucket"
	"anabranch/fault"
	"anabranch/ingest"
)

// importSource picks where the files of an import are: file:///folder,
// file:///one/file, or s3://bucket/prefix?endpoint=URL&region=NAME.
func importSource(ctx context.Context, raw string) (ingest.Source, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return ingest.Source{}, fault.New(fault.Invalid, "import from %q: %v", raw, err)
	}
	switch u.Scheme {
	case "file":
		root := filepath.FromSlash(u.Path)
		if !filepath.IsAbs(root) || u.Host != "" {
			return ingest.Source{}, fault.New(fault.Invalid, "import from %q: want file:/// and a whole path", raw)
		}
		info, err := os.Stat(root)
		if err != nil {
			return ingest.Source{}, folderFault(fmt.Errorf("import from %q: %w", raw, err))
		}
		from := ingest.Source{Files: folder{root}, Name: "file://" + strings.TrimSuffix(filepath.ToSlash(root), "/") + "/"}
		if !info.IsDir() {
			dir, name := filepath.Split(root)
			from = ingest.Source{Files: folder{dir}, Prefix: name, Name: "file://" + filepath.ToSlash(dir)}
		}
		return from, nil
	case "s3":
		q := u.Query()
		b, err := s3bucket.New(ctx, s3bucket.Options{Bucket: u.Host, Endpoint: q.Get("endpoint"), Region: q.Get("region"), PathStyle: q.Get("endpoint") != ""})
		if err != nil {
			return ingest.Source{}, err
		}
		return ingest.Source{Files: b, Prefix: strings.TrimPrefix(u.Path, "/"), Name: "s3://" + u.Host + "/"}, nil
	}
	return ingest.Source{}, fault.New(fault.Invalid, "import from %q: want file:///folder or s3://bucket/prefix?endpoint=URL&region=NAME", raw)
}

// folder reads the files of a folder of somebody else's, where nothing is
// written.
type folder struct{ root string }

var _ bucket.Reader = folder{}

func folderFault(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fault.Wrap(fault.NotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(fault.Denied, err)
	}
	return fault.Wrap(fault.Transient, err)
}

func (f folder) open(name string) (*os.File, bucket.Info, error) {
	file, err := os.Open(filepath.Join(f.root, filepath.FromSlash(name)))
	if err != nil {
		return nil, bucket.Info{}, folderFault(err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, bucket.Info{}, folderFault(err)
	}
	return file, described(name, info), nil
}

func described(name string, info fs.FileInfo) bucket.Info {
	return bucket.Info{Name: name, Size: info.Size(), ETag: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano()), Modified: info.ModTime()}
}

func (f folder) Get(_ context.Context, name string) (io.ReadCloser, bucket.Info, error) {
	return f.open(name)
}

func (f folder) Range(_ context.Context, name string, offset, size int64) (io.ReadCloser, error) {
	file, info, err := f.open(name)
	if err != nil {
		return nil, err
	}
	if offset < 0 || size < 0 || offset+size > info.Size {
		file.Close()
		return nil, fault.New(fault.Invalid, "%d bytes from %d of %s: it has %d", size, offset, name, info.Size)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, offset, size), file}, nil
}

func (f folder) Stat(_ context.Context, name string) (bucket.Info, error) {
	info, err := os.Stat(filepath.Join(f.root, filepath.FromSlash(name)))
	if err != nil {
		return bucket.Info{}, folderFault(err)
	}
	return described(name, info), nil
}

func (f folder) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		var all []bucket.Info
		err := filepath.WalkDir(f.root, func(p string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(f.root, p)
			if err != nil {
				return err
			}
			name := filepath.ToSlash(rel)
			if !strings.HasPrefix(name, prefix) || name <= after {
				return nil
			}
			info, err := os.Stat(p) // also behind a symbolic link
			if err == nil && info.Mode().IsRegular() {
				all = append(all, described(path.Clean(name), info))
			}
			return err
		})
		if err != nil {
			yield(bucket.Info{}, folderFault(fmt.Errorf("list %s: %w", f.root, err)))
			return
		}
		slices.SortFunc(all, func(a, b bucket.Info) int { return strings.Compare(a.Name, b.Name) })
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
	}
}

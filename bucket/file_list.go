//go:build unix

package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// List implements Reader. ETags are empty.
func (f *File) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		dir := ""
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			dir = prefix[:i]
			if CheckName(dir) != nil {
				return // no object's name begins so
			}
		}
		f.walk(ctx, dir, prefix, after, yield)
	}
}

// walk yields the objects below dir and reports whether to go on.
func (f *File) walk(ctx context.Context, dir, prefix, after string, yield func(Info, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(Info{}, err)
		return false
	}
	entries, err := f.fs.ReadDir(f.path(dir))
	if err != nil {
		if err = fileFault(err); errors.Is(err, ErrNotFound) {
			return true
		}
		yield(Info{}, fmt.Errorf("list %s: %w", dir, err))
		return false
	}
	// What lies before after, most of a long folder as a rule, is not looked at.
	begin := dir
	if begin != "" {
		begin += "/"
	}
	if last, inside := strings.CutPrefix(after, begin); inside && !strings.Contains(last, "/") {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() && e.Name() <= last })
	}
	// Names sort by their bytes, and a folder's objects by "folder/...".
	key := func(e fs.DirEntry) string {
		name := begin + e.Name()
		if e.IsDir() {
			name += "/"
		}
		return name
	}
	if slices.ContainsFunc(entries, fs.DirEntry.IsDir) { // otherwise they are in order
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(key(a), key(b)) })
	}
	for _, e := range entries {
		name := key(e)
		switch {
		case hidden(e.Name()) || f.hides(name):
		case e.IsDir():
			if (strings.HasPrefix(name, prefix) || strings.HasPrefix(prefix, name)) &&
				(name > after || strings.HasPrefix(after, name)) && !f.walk(ctx, strings.TrimSuffix(name, "/"), prefix, after, yield) {
				return false
			}
		case strings.HasPrefix(name, prefix) && name > after && CheckName(name) == nil:
			st, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				yield(Info{}, fmt.Errorf("list %s: %w", name, fileFault(err)))
				return false
			}
			if !yield(Info{Name: name, Size: st.Size(), Modified: st.ModTime().UTC()}, nil) {
				return false
			}
		}
	}
	return true
}

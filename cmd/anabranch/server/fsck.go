package server

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/disk"
	"anabranch/schemas"
	"anabranch/stream/natslog"
)

// FsckOptions say what Fsck looks at.
type FsckOptions struct {
	Dir      string       // the state folder of a stopped server; empty: the bucket alone
	Bucket   string       // URL of the object store; empty: the bucket in Dir
	Repair   bool         // without it nothing is changed
	Progress func(string) // is told what is being looked at; may be nil
}

// Fsck looks at everything that a stopped server has left, and repairs what
// another copy allows when asked. The error says that it could not look; what
// it saw is in the answer.
func Fsck(ctx context.Context, o FsckOptions) (api.Check, error) {
	f := &fsck{FsckOptions: o}
	if f.Progress == nil {
		f.Progress = func(string) {}
	}
	if f.Dir != "" {
		if _, err := os.Stat(f.Dir); err != nil {
			return f.out, fault.New(fault.Invalid, "there is no folder %s: name that of a stopped server with --dir, or a --bucket alone", f.Dir)
		}
		lock := &Server{config: Config{Dir: f.Dir}}
		if err := lock.lockDir(); err != nil {
			return f.out, err
		}
		defer lock.Stop()
	}
	if f.Bucket == "" {
		folder := filepath.Join(f.Dir, "bucket")
		if _, err := os.Stat(folder); err != nil {
			return f.out, fault.New(fault.Invalid, "%s holds no bucket: name the folder of a stopped `anabranch dev` with --dir, or the server's --bucket too", f.Dir)
		}
		f.Bucket = (&url.URL{Scheme: "file", Path: folder}).String()
	}
	var err error
	if f.bucket, err = openBucket(ctx, disk.Real{}, f.Bucket); err != nil {
		return f.out, err
	}
	f.catalog = &catalog{bucket: f.bucket, clock: clock.Wall}
	names, err := f.catalog.newest(ctx)
	if err != nil {
		return f.out, err
	}
	for _, name := range slices.Sorted(keysOf(names)) {
		if err := f.pipeline(ctx, name); err != nil {
			return f.out, fmt.Errorf("check pipeline %s: %w", name, err)
		}
	}
	if f.Dir != "" {
		err = f.local()
	}
	return f.out, err
}

func keysOf(m map[string]uint64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

type fsck struct {
	FsckOptions
	bucket  bucket.Bucket
	catalog *catalog
	out     api.Check
}

// add notes a finding and returns its place, for a repair to tell how it went.
func (f *fsck) add(kind, file string, err error, meaning, todo string) int {
	f.out.Findings = append(f.out.Findings, api.Finding{Kind: kind, File: file, Problem: err.Error(), Meaning: meaning, Todo: todo})
	return len(f.out.Findings) - 1
}

// mend tries a repair, when repairs were asked for.
func (f *fsck) mend(at int, fix func() error) {
	if !f.Repair {
		return
	}
	found := &f.out.Findings[at]
	if err := fix(); err != nil {
		found.Todo = "not repaired: " + err.Error() + "; " + found.Todo
		return
	}
	found.Repaired = true
}

// checked is one pipeline under the eyes of fsck.
type checked struct {
	*fsck
	name    string
	history []entry // what can be read of it
	partial bool    // a definition cannot: nothing is made again that needs it
	set     *schemas.Set
	def     *schemas.Definition // nil: none can be read
	archive *archive.Archive
	log     *natslog.Files // nil: there is none to look at
}

func (f *fsck) pipeline(ctx context.Context, name string) error {
	p := &checked{fsck: f, name: name}
	if err := p.definitions(ctx); err != nil {
		return err
	}
	partitions, err := p.partitions(ctx)
	if err != nil {
		return err
	}
	if f.Dir != "" {
		p.say("log")
		if p.log, err = natslog.OpenFiles(filepath.Join(f.Dir, "log"), name, partitions); fault.Is(err, fault.Corrupt) {
			f.add("log", filepath.Join(f.Dir, "log"), err, "the log does not open", "keep the folder; restore the file")
			p.log = nil
		} else if err != nil {
			return err
		}
	}
	open := func() {
		p.archive = archive.Open(f.bucket, name, p.set, archive.Options{Partitions: partitions})
	}
	open()
	if err := p.archived(ctx, open); err != nil {
		return err
	}
	if err := p.references(ctx); err != nil {
		return err
	}
	p.say("dead letters")
	err = deadletter.New(f.bucket, name).Check(ctx, func(object string, err error) {
		f.add("letters", object, err, "these dead letters cannot be read or released; no answer is affected", "restore it from a copy of the bucket; its bytes are nowhere else")
	})
	if err != nil || p.log == nil {
		return err
	}
	return p.logged(ctx)
}

func (p *checked) say(what string) { p.Progress(p.name + ": " + what) }

// definitions reads those that can be read.
func (p *checked) definitions(ctx context.Context) error {
	p.say("definitions")
	for info, err := range p.bucket.List(ctx, "definitions/"+p.name+"/", "") {
		if err != nil {
			return fmt.Errorf("list definitions: %w", err)
		}
		e, err := p.catalog.read(ctx, info.Name)
		var def *schemas.Definition
		if err == nil {
			def, err = definition(e.Files)
		}
		switch {
		case err == nil:
			p.history, p.def = append(p.history, e), def
		case fault.Is(err, fault.Corrupt), fault.Is(err, fault.Invalid):
			p.partial = true
			p.add("definition", info.Name, err, "the pipeline does not start; its data are not affected",
				"restore it from a copy of the bucket; what needs it is neither looked at nor repaired until then")
		default:
			return err
		}
	}
	var err error
	p.set, err = schemaSet(p.history)
	return err
}

// partitions is how many there are; without a definition the files tell.
func (p *checked) partitions(ctx context.Context) (int, error) {
	if p.def != nil {
		return p.def.Partitions, nil
	}
	n := 0
	for info, err := range p.bucket.List(ctx, p.name+"/segments/", "") {
		if err != nil {
			return 0, fmt.Errorf("list segments: %w", err)
		}
		var partition int
		rest := strings.TrimPrefix(info.Name, p.name+"/segments/")
		if _, err := fmt.Sscanf(rest, "p%d/", &partition); err == nil {
			n = max(n, partition+1)
		}
	}
	return n, nil
}

// aboutSchema reports whether err only says that a schema version is unknown,
// which a definition that cannot be read explains.
func (p *checked) aboutSchema(err error) bool {
	return p.partial && fault.Is(err, fault.Invalid) && !errors.Is(err, bucket.ErrNotFound)
}

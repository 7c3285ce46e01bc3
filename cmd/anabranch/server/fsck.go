package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/speed"
	"anabranch/stream"
	"anabranch/stream/natslog"
)

// Fsck looks at everything that a stopped server has left in dir, or at a
// bucket alone when bucketURL is given, and repairs what it can when asked.
// The error says that it could not look; what it saw is in the answer.
func Fsck(ctx context.Context, dir, bucketURL string, repair bool) (api.Check, error) {
	f := &fsck{dir: dir, repair: repair}
	if bucketURL == "" {
		if _, err := os.Stat(filepath.Join(dir, "bucket")); err != nil {
			return f.out, fault.New(fault.Invalid, "%s holds no bucket: name the folder of a stopped `anabranch dev` with --dir, or --bucket", dir)
		}
		lock := &Server{config: Config{Dir: dir}}
		if err := lock.lockDir(); err != nil {
			return f.out, err
		}
		defer lock.Stop()
		bucketURL = (&url.URL{Scheme: "file", Path: filepath.Join(dir, "bucket")}).String()
		store, err := natslog.Open(ctx, natslog.Options{Dir: filepath.Join(dir, "log"), Listen: "127.0.0.1:0"})
		if err != nil {
			f.add("log", filepath.Join(dir, "log"), err, "keep the folder; what was archived is not affected")
		} else {
			defer store.Close()
			f.store = store
		}
	}
	var err error
	if f.bucket, err = openBucket(ctx, bucketURL); err != nil {
		return f.out, err
	}
	c := &catalog{bucket: f.bucket, clock: clock.Wall}
	names, err := c.newest(ctx)
	if err != nil {
		return f.out, err
	}
	for _, name := range slices.Sorted(keysOf(names)) {
		if err := f.pipeline(ctx, c, name); err != nil {
			return f.out, fmt.Errorf("check pipeline %s: %w", name, err)
		}
	}
	if dir != "" && f.store != nil {
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
	dir    string
	repair bool
	bucket bucket.Bucket
	store  stream.Store // nil: no log to look at
	out    api.Check
}

// add notes a finding and returns it, for a repair to tell how it went.
func (f *fsck) add(kind, file string, err error, todo string) *api.Finding {
	f.out.Findings = append(f.out.Findings, api.Finding{Kind: kind, File: file, Problem: err.Error(), Todo: todo})
	return &f.out.Findings[len(f.out.Findings)-1]
}

// mend tries a repair, when repairs were asked for.
func (f *fsck) mend(at *api.Finding, fix func() error) {
	if !f.repair {
		return
	}
	if err := fix(); err != nil {
		at.Todo = "not repaired: " + err.Error() + "; " + at.Todo
		return
	}
	at.Repaired = true
}

func (f *fsck) pipeline(ctx context.Context, c *catalog, name string) error {
	history, err := c.history(ctx, name)
	if fault.Is(err, fault.Corrupt) {
		f.add("definition", "definitions/"+name, err, "restore it from a copy of the bucket; the pipeline is not looked at without")
		return nil
	}
	if err != nil {
		return err
	}
	set, err := schemaSet(history)
	if err != nil {
		return err
	}
	def, err := definition(history[len(history)-1].Files)
	if err != nil {
		return err
	}
	var log stream.Log
	if f.store != nil {
		if log, err = f.store.Open(ctx, name, def.Partitions); err != nil {
			f.add("log", name, err, "keep the folder; what was archived is not affected")
		} else {
			defer log.Close()
		}
	}
	a := archive.Open(f.bucket, name, set, archive.Options{Partitions: def.Partitions})
	var all []archive.Damage
	if err := a.Check(ctx, func(d archive.Damage) { all = append(all, d) }); err != nil {
		return err
	}
	for _, d := range all {
		f.archived(ctx, a, log, d)
	}
	if err := f.views(ctx, a, set, history, all); err != nil {
		return err
	}
	err = deadletter.New(f.bucket, name).Check(ctx, func(object string, err error) {
		f.add("letters", object, err, "restore it from a copy of the bucket; the bytes of these dead letters are nowhere else")
	})
	if err != nil || log == nil {
		return err
	}
	return f.log(ctx, a, log)
}

// archived notes what is wrong in the archive, and seals segments again.
func (f *fsck) archived(ctx context.Context, a *archive.Archive, log stream.Log, d archive.Damage) {
	switch d.Kind {
	case "segment":
		at := f.add(d.Kind, d.File, d.Err, "if the log still has its range, --repair seals it again; else restore it from a copy of the bucket")
		if log == nil {
			return
		}
		f.mend(at, func() error {
			if d.To == 0 {
				return fault.New(fault.NotFound, "it is the last one, and nothing says where it ended")
			}
			return a.Reseal(ctx, log, d.Partition, d.From, d.To)
		})
	case "state", "result": // see views
	case "orphan":
		f.add(d.Kind, d.File, d.Err, "nothing: the server collects it when it is old enough")
	default:
		f.add(d.Kind, d.File, d.Err, "restore it from a copy of the bucket")
	}
}

// views computes damaged view files again, from the day files.
func (f *fsck) views(ctx context.Context, a *archive.Archive, set *schemas.Set, history []entry, all []archive.Damage) error {
	broken := map[string][]int{} // findings, by view
	for _, d := range all {
		if d.Kind == "state" || d.Kind == "result" {
			f.add(d.Kind, d.File, d.Err, fmt.Sprintf("--repair computes %s's file again from the archive", a.Pipeline()))
			broken[d.View] = append(broken[d.View], len(f.out.Findings)-1)
		}
	}
	if !f.repair || len(broken) == 0 {
		return nil
	}
	def, err := definition(history[len(history)-1].Files)
	if err != nil {
		return err
	}
	c, err := compile(ctx, def)
	if err != nil {
		return err
	}
	log, err := stream.NewMemory().Open(ctx, def.Name, def.Partitions) // a backfill appends nothing
	if err != nil {
		return err
	}
	defer log.Close()
	runner, err := batch.New(batch.Options{
		Pipeline: def.Name, Schemas: set, Views: c.views, Filters: c.filters, Log: log, Archive: a,
		Letters: deadletter.New(f.bucket, def.Name), TimeField: def.Identity.Time, Definition: def.Version(),
	})
	if err != nil {
		return err
	}
	for view, findings := range broken {
		fix := func() error {
			if c.view(view) == nil {
				return fault.New(fault.NotFound, "the definition has no view %s any more", view)
			}
			for _, i := range findings { // the same bytes come back under the same name
				if err := f.bucket.Delete(ctx, f.out.Findings[i].File); err != nil {
					return err
				}
			}
			var id [6]byte
			if _, err := rand.Read(id[:]); err != nil {
				return err
			}
			_, err := batch.Run(ctx, runner, batch.Request{Kind: batch.Backfill, RunID: "fsck-" + hex.EncodeToString(id[:]), View: view, Reason: "fsck: damaged files", By: "fsck"})
			return err
		}
		err := fix()
		for _, i := range findings {
			f.mend(&f.out.Findings[i], func() error { return err })
		}
	}
	return nil
}

// log reads every record and looks for what neither log nor segments hold.
func (f *fsck) log(ctx context.Context, a *archive.Archive, log stream.Log) error {
	for n := range log.Partitions() {
		place := fmt.Sprintf("log of %s, partition %d", a.Pipeline(), n)
		first, next, err := log.Bounds(ctx, n)
		if err == nil {
			err = tail(ctx, log, n, first, next, func(uint64, event.Header, []byte) error { return nil })
		}
		switch {
		case err == nil:
		case fault.Is(err, fault.Corrupt):
			f.add("log", place, err, "keep its files; a record below the end of the segments is in the archive, one above it is lost and its producer must send it again")
			continue
		default:
			return err
		}
		if chain, err := a.Segments(ctx, n, 0); err == nil && first < next {
			end := uint64(0)
			if len(chain) > 0 {
				end = chain[len(chain)-1].To
			}
			if first > max(end, 1) {
				f.add("log", place, fault.New(fault.Corrupt, "it begins at %d, the segments end at %d: nothing holds what lies between", first, end), "restore the segments from a copy of the bucket")
			}
		}
	}
	return nil
}

// local looks at snapshots and cached copies, which can be made again.
func (f *fsck) local() error {
	for _, root := range []string{"speed", "cache"} {
		err := filepath.WalkDir(filepath.Join(f.dir, root), func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			kind, sum := "snapshot", sha256.Sum256(data)
			switch name, _, _ := strings.Cut(d.Name(), "."); {
			case root == "speed" && strings.HasSuffix(path, ".snap"):
				err = speed.CheckSnapshot(data)
			case root == "cache" && len(name) == 2*sha256.Size && name != hex.EncodeToString(sum[:]):
				kind, err = "cache", fault.New(fault.Corrupt, "its SHA-256 is not its name")
			}
			if err != nil {
				f.mend(f.add(kind, path, err, "nothing: it is not used and made again; --repair deletes it"), func() error { return os.Remove(path) })
			}
			return nil
		})
		if err != nil {
			return fault.Wrap(fault.Transient, err)
		}
	}
	return nil
}

package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/speed"
	"anabranch/stream/natslog"
)

// logged looks at every record of the log's files, and at what neither log nor
// segments hold. A partition of which all lost records are in segments is
// begun anew behind its end, once what only it holds is sealed too.
func (p *checked) logged(ctx context.Context) error {
	for n := range p.log.Partitions() {
		place := fmt.Sprintf("log of %s, partition %d", p.name, n)
		p.say(fmt.Sprintf("log, partition %d", n))
		first, next, err := p.log.Bounds(ctx, n)
		if err != nil {
			return err
		}
		end := p.sealedEnd(ctx, n)
		var repairable []int
		whole := true
		for _, flaw := range p.log.Flaws(n) {
			meaning := "none: no record is lost by it"
			todo := "--repair makes it anew"
			switch {
			case flaw.From < flaw.To && flaw.To <= end:
				meaning = fmt.Sprintf("none: the segments hold its events, they end at %d; a reader that needs them there stops until it is repaired", end)
				todo = "--repair seals what only the log holds and begins the partition anew behind its end; the damaged files are kept in log/damaged"
			case flaw.From < flaw.To:
				whole = false
				meaning = fmt.Sprintf("acknowledged events of offsets %d to %d are in no other copy; speed and sealing stop in front of them", max(flaw.From, end), flaw.To-1)
				todo = "keep the files, restore the disk or a copy of the folder; failing that, producers send again from the receipt before"
			}
			at := p.add("log", flaw.File, flaw.Err, meaning, todo)
			if flaw.Note {
				p.mend(at, func() error { return os.Remove(flaw.File) })
				continue
			}
			repairable = append(repairable, at)
		}
		if whole && len(repairable) > 0 {
			fix := sync.OnceValue(func() error { return p.beginAnew(ctx, n, end, next) })
			for _, at := range repairable {
				p.mend(at, fix)
			}
			continue
		}
		if len(repairable) == 0 {
			p.frames(ctx, n, place, first, next)
		}
		if first > max(end, 1) && first < next {
			p.add("log", place, fault.New(fault.Corrupt, "it begins at %d, the segments end at %d: nothing holds what lies between", first, end),
				"acknowledged events are in no copy that is here", "restore the segments from a copy of the bucket")
		}
	}
	return nil
}

// frames reads every record: what the server's checksum does not see, the
// frame's does.
func (p *checked) frames(ctx context.Context, n int, place string, first, next uint64) {
	err := tail(ctx, p.log, n, first, next, func(uint64, event.Header, []byte) error { return nil })
	if err != nil {
		p.add("log", place, err, "speed and sealing stop in front of it", "keep its files; restore the disk or a copy of the folder")
	}
}

// sealedEnd is how far the segments of a partition go without a gap.
func (p *checked) sealedEnd(ctx context.Context, n int) uint64 {
	chain, err := p.archive.Segments(ctx, n, 0)
	if err != nil || len(chain) == 0 {
		return 0
	}
	return chain[len(chain)-1].To
}

// beginAnew seals [end, next) from the files and sets them aside.
func (p *checked) beginAnew(ctx context.Context, n int, end, next uint64) error {
	if p.partial {
		return fault.New(fault.Invalid, "a definition cannot be read")
	}
	if end < next {
		if err := p.archive.Reseal(ctx, p.log, n, end, next); err != nil {
			return err
		}
	}
	_, err := natslog.SetAside(filepath.Join(p.Dir, "log"), p.name, n, max(end, next))
	return err
}

// local looks at snapshots and cached copies, which can be made again.
func (f *fsck) local() error {
	f.Progress("snapshots and cached copies")
	for _, root := range []string{"speed", "cache"} {
		err := filepath.WalkDir(filepath.Join(f.Dir, root), func(path string, d fs.DirEntry, err error) error {
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
				at := f.add(kind, path, err, "none: it is not used and made again", "nothing; --repair deletes it")
				f.mend(at, func() error { return os.Remove(path) })
			}
			return nil
		})
		if err != nil {
			return fault.Wrap(fault.Transient, err)
		}
	}
	return nil
}

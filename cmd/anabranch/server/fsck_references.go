package server

import (
	"context"
	"fmt"

	"anabranch/fault"
)

// references looks at the objects of the reference tables that the newest
// definitions mention, and for those that none does.
func (p *checked) references(ctx context.Context) error {
	p.say("reference tables")
	known := map[string]bool{}
	kept := keptReferences(p.history, p.catalog.clock.Now())
	for i := len(kept) - 1; i >= 0; i-- {
		for _, r := range kept[i].References {
			if known[r.Object] {
				continue
			}
			known[r.Object] = true
			err := p.archive.CheckReference(ctx, r)
			meaning := "answers as of a receipt of then fail where they read it"
			if i == len(kept)-1 {
				meaning = "queries that read it fail; views are not affected"
			}
			switch {
			case fault.Is(err, fault.Corrupt), fault.Is(err, fault.NotFound):
				p.add("reference", r.Object, fmt.Errorf("reference table %s, version %s: %w", r.Name, r.Version, err), meaning,
					"delete what is left of it and apply the folder that has this version again, or restore the object from a copy of the bucket")
			case err != nil:
				return err
			}
		}
	}
	if p.partial || len(kept) < len(p.history) {
		// What a definition of old mentions is collected in its time.
		for _, e := range p.history {
			for _, r := range e.References {
				known[r.Object] = true
			}
		}
	}
	all, err := p.archive.References(ctx)
	if err != nil || p.partial {
		return err
	}
	for _, o := range all {
		if !known[o.Name] {
			p.add("orphan", o.Name, errOrphan, "none", "nothing: the server collects it when it is old enough")
		}
	}
	return nil
}

var errOrphan = fault.New(fault.Invalid, "no definition mentions it: of an apply that did not finish; it is never read")

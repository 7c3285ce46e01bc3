package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"anabranch/archive"
)

// Comparison says how one version of the views differs from another, cell by
// cell. It is small enough for a workflow's history; all differing cells are
// in the objects it names.
type Comparison struct {
	Old   uint64           `json:"old"` // versions of manifests
	New   uint64           `json:"new"`
	Views []ViewComparison `json:"views"`
	// Digest is the same for the same differences: an approval of one
	// comparison holds for a later one with its digest.
	Digest string `json:"digest"`
}

// ViewComparison is the comparison of one view.
type ViewComparison struct {
	View       string        `json:"view"`
	OldVersion string        `json:"old_version,omitempty"` // empty: the view is new
	NewVersion string        `json:"new_version,omitempty"` // empty: the view is gone
	Same       int64         `json:"same"`                  // groups that are equal in every cell
	Added      int64         `json:"added"`
	Removed    int64         `json:"removed"`
	Changed    int64         `json:"changed"`
	Totals     []TotalChange `json:"totals,omitempty"`
	Largest    []Difference  `json:"largest,omitempty"`
	Note       string        `json:"note,omitempty"` // why cells cannot be compared
	Object     string        `json:"object,omitempty"`
	Digest     string        `json:"digest"`
}

// TotalChange is the sum of one numeric column over all groups, before and
// after.
type TotalChange struct {
	Column string `json:"column"`
	Old    string `json:"old"`
	New    string `json:"new"`
	// Share is how much it changed, as a share of the larger of the two.
	Share float64 `json:"share"`
}

// Difference is one cell.
type Difference struct {
	Group  []string `json:"group"` // the key columns, in order
	Column string   `json:"column"`
	Old    string   `json:"old"` // empty: the group is new
	New    string   `json:"new"` // empty: the group is gone
}

// Equal reports whether there is no difference at all.
func (c *Comparison) Equal() bool {
	for _, v := range c.Views {
		if !v.equal() {
			return false
		}
	}
	return true
}

func (v *ViewComparison) equal() bool {
	return v.Added+v.Removed+v.Changed == 0 && v.Note == "" && v.OldVersion != "" && v.NewVersion != ""
}

// groups returns how many groups were compared.
func (v *ViewComparison) groups() int64 { return v.Same + v.Added + v.Removed + v.Changed }

// Beyond says what in the comparison exceeds a bound, as shares of 1: of the
// groups that differ, and of what a total changed by. Empty: nothing does.
func (c *Comparison) Beyond(bound float64) string {
	for _, v := range c.Views {
		switch share := float64(v.Added+v.Removed+v.Changed) / float64(max(v.groups(), 1)); {
		case v.Note != "":
			return fmt.Sprintf("view %s: %s", v.View, v.Note)
		case share > bound:
			return fmt.Sprintf("view %s: %d of %d groups differ, %.3g %%; the bound is %.3g %%", v.View, v.Added+v.Removed+v.Changed, v.groups(), share*100, bound*100)
		}
		for _, t := range v.Totals {
			if t.Share > bound {
				return fmt.Sprintf("view %s: the total of %s goes from %s to %s, %.3g %%; the bound is %.3g %%", v.View, t.Column, t.Old, t.New, t.Share*100, bound*100)
			}
		}
	}
	return ""
}

const noteCompare = "compare.json"

// Compare says how what a run has made differs from what is published: the
// views of its plan against those of the parent. It needs every Finish. All
// differing cells are stored as Parquet, one object for each view that has
// some.
func (r *Runner) Compare(ctx context.Context, ref PlanRef) (Comparison, error) {
	defer r.metrics.step("compare", r.Clock)()
	var c Comparison
	if found, err := r.getNote(ctx, ref.Run, noteCompare, &c); err != nil || found {
		return c, err
	}
	ctx, turn, err := r.Pace.Begin(ctx)
	if err != nil {
		return c, err
	}
	defer turn.End()
	o, err := r.outcome(ctx, ref)
	if err != nil {
		return c, err
	}
	if c, err = r.compare(ctx, ref.Run, o.parent, o.manifest); err != nil {
		return c, fmt.Errorf("run %s: compare: %w", ref.Run, err)
	}
	return c, r.putNote(ctx, ref.Run, noteCompare, c)
}

// CompareVersions compares two published versions. NotFound when there is no
// such version, or when its files were collected.
func (r *Runner) CompareVersions(ctx context.Context, from, to uint64) (Comparison, error) {
	before, err := r.Archive.Manifest(ctx, from)
	if err != nil {
		return Comparison{}, err
	}
	after, err := r.Archive.Manifest(ctx, to)
	if err != nil {
		return Comparison{}, err
	}
	c, err := r.compare(ctx, fmt.Sprintf("v%d-v%d", from, to), before, after)
	if err != nil {
		return c, fmt.Errorf("compare version %d with %d: %w", from, to, err)
	}
	return c, nil
}

// compare compares every view of two manifests; name becomes part of the names
// of the objects.
func (r *Runner) compare(ctx context.Context, name string, before, after *archive.Manifest) (Comparison, error) {
	c := Comparison{Old: before.Version, New: after.Version}
	views := map[string]bool{}
	for _, m := range []*archive.Manifest{before, after} {
		for key := range m.Views {
			views[archive.ViewOf(key)] = true
		}
	}
	digest := sha256.New()
	for _, view := range slices.Sorted(maps.Keys(views)) {
		v := &viewComparer{ctx: ctx, r: r, name: name, out: ViewComparison{View: view}}
		was, is := versionsOf(view, before, after)
		if err := v.compare(was, is); err != nil {
			return c, fmt.Errorf("view %s: %w", view, err)
		}
		text, err := json.Marshal([]any{v.out.View, v.out.NewVersion, v.out.Digest, v.out.Note})
		if err != nil {
			return c, wrong("encode a comparison: %w", err)
		}
		digest.Write(text)
		c.Views = append(c.Views, v.out)
	}
	c.Digest = hex.EncodeToString(digest.Sum(nil)[:16])
	return c, nil
}

// versionsOf returns the files of a view to compare. Where a changed definition is
// made for the first time, or held, that is its old version and its new one at
// the same cut; else what answered before and what answers after.
func versionsOf(view string, before, after *archive.Manifest) (was, is *archive.ViewFiles) {
	_, was = before.Answers(view)
	key, is := after.Answers(view)
	if declared := after.Views[view]; declared != nil && key != view {
		return is, declared
	}
	if was != nil && is != nil && was.Version != is.Version {
		if _, kept := after.VersionOf(view, was.Version); kept != nil {
			was = kept
		}
	}
	return was, is
}

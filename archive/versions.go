package archive

import "strings"

// A view is answered by one version of its definition at a time. While a
// manifest has files of others too, one that is not yet trusted or not
// forgotten, they stand in Manifest.Views under a key of their own: the view's
// name alone is the key of the version that its definition declares.

// ViewKey returns the key of a version of a view that is not the declared one.
// No view has a dot in its name.
func ViewKey(view, version string) string { return view + "." + version[:min(len(version), 8)] }

// ViewOf returns the view that a key of Manifest.Views belongs to.
func ViewOf(key string) string {
	view, _, _ := strings.Cut(key, ".")
	return view
}

// Answers returns the version of a view that readers see, and its key; nil
// when the manifest has none.
func (m *Manifest) Answers(view string) (key string, files *ViewFiles) {
	key, ok := m.Serves[view]
	if !ok {
		key = view
	}
	return key, m.Views[key]
}

// VersionOf returns the files of one version of a view, and their key; nil
// when the manifest has none.
func (m *Manifest) VersionOf(view, version string) (key string, files *ViewFiles) {
	for _, key := range []string{view, ViewKey(view, version)} {
		if f := m.Views[key]; f != nil && f.Version == version {
			return key, f
		}
	}
	return "", nil
}

// versioned is a compiled view, as far as finding it goes.
type versioned interface {
	Name() string // a key
	Version() string
}

// FindVersion returns the version of a view among compiled ones, under
// whichever key; the zero value when it is not there.
func FindVersion[V versioned](view, version string, among ...[]V) V {
	for _, views := range among {
		for _, v := range views {
			if ViewOf(v.Name()) == view && v.Version() == version {
				return v
			}
		}
	}
	var none V
	return none
}

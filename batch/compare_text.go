package batch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Markdown shows the comparison to the person who approves it.
func (c *Comparison) Markdown() string {
	var b strings.Builder
	if c.Equal() {
		b.WriteString("Every cell is equal.\n\n")
	}
	b.WriteString("| view | groups | same | changed | added | removed |\n|---|---:|---:|---:|---:|---:|\n")
	for i := range c.Views {
		v := &c.Views[i]
		name := cellText(v.View)
		switch {
		case v.OldVersion == "":
			name += " (new)"
		case v.NewVersion == "":
			name += " (gone)"
		case v.OldVersion != v.NewVersion:
			name += " (changed definition)"
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d |\n", name, v.groups(), v.Same, v.Changed, v.Added, v.Removed)
	}
	for i := range c.Views {
		if v := &c.Views[i]; !v.equal() {
			v.markdown(&b)
		}
	}
	return b.String()
}

func (v *ViewComparison) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n#### %s\n\n", cellText(v.View))
	if v.Note != "" {
		fmt.Fprintf(b, "%s.\n", cellText(v.Note))
		return
	}
	changed := false
	for _, t := range v.Totals {
		if t.Share == 0 {
			continue
		}
		if !changed {
			changed = true
			b.WriteString("| total of | was | is | change |\n|---|---:|---:|---:|\n")
		}
		fmt.Fprintf(b, "| %s | %s | %s | %.3g %% |\n", cellText(t.Column), dash(t.Old), dash(t.New), t.Share*100)
	}
	if !changed && len(v.Totals) > 0 {
		b.WriteString("No total changes.\n")
	}
	if len(v.Largest) > 0 {
		b.WriteString("\n| group | column | was | is |\n|---|---|---:|---:|\n")
		for _, d := range v.Largest {
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cellText(strings.Join(d.Group, " · ")), cellText(d.Column), dash(d.Old), dash(d.New))
		}
	}
	if v.Object != "" {
		fmt.Fprintf(b, "\nAll differing cells: `%s`\n", v.Object)
	}
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return cellText(s)
}

// cellText keeps data from breaking the table, and from filling the page.
func cellText(s string) string {
	const enough = 60
	if utf8.RuneCountInString(s) > enough {
		s = string([]rune(s)[:enough-1]) + "…"
	}
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;", "`", "'").Replace(s)
}

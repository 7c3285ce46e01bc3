package pgwire

import (
	"strings"

	"anabranch/internal/sqltext"
)

// edit puts words in the place of the bytes in [start, end) of a text.
type edit struct {
	start, end int
	words      string
}

// edited makes the edits of a text, which come in the order of their starts; one
// that begins inside of another is left out.
func edited(text string, edits []edit) string {
	var b strings.Builder
	from := 0
	for _, e := range edits {
		if e.start < from {
			continue
		}
		b.WriteString(text[from:e.start])
		b.WriteString(e.words)
		from = e.end
	}
	return b.String() + text[from:]
}

// edited is the statement with its text edited.
func (s statement) edited(edits []edit) statement {
	if len(edits) == 0 {
		return s
	}
	text := edited(s.text, edits)
	return statement{text: text, tokens: sqltext.Lex(text), origin: s.origin.edited(edits)}
}

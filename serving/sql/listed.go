package sql

import (
	"regexp"
	"slices"
	"strings"

	"anabranch/fault"
)

// unlisted are what DuckDB says of a name in a list, without telling where.
var unlisted = regexp.MustCompile(`^Column "(.+?)" (?:does not exist on (left|right) side of join!|in (EXCLUDE|REPLACE) list not found in FROM clause)`)

// notListed is the error about a column in USING, EXCLUDE or REPLACE that there is
// not, with its place where the text has it in one such list only; nil: message is
// about something else.
func notListed(message, asked string, columns []string) error {
	m := unlisted.FindStringSubmatch(message)
	if m == nil {
		return nil
	}
	word, side, list := m[1], m[2], m[3]
	where := "in the " + list + " list"
	if side != "" {
		list, where = "USING", "on the "+side+" side of the join"
	}
	err := fault.WithCode(fault.New(fault.Invalid, "there is no column %q %s%s", word, where, placeAt(asked, listedAt(asked, list, word))), "unknown_column")
	if side != "" && slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(c, word) }) {
		return fault.WithHint(err, "USING wants a column that both sides have: write JOIN ... ON a.x = b.y where they are called differently")
	}
	return fault.WithHint(err, "%s", nearColumns(word, columns))
}

// listedAt returns where a text has a word in the lists behind a keyword; -1 when
// that is nowhere, or in more than one place.
func listedAt(asked, keyword, word string) int {
	at := -1
	name := regexp.MustCompile(`(?i)(?:^|[\s(,."])(` + regexp.QuoteMeta(word) + `)(?:$|[\s),."])`)
	list := regexp.MustCompile(`(?i)\b` + keyword + `\b\s*(\([^)]*\)?|\S*)`)
	for _, m := range list.FindAllStringSubmatchIndex(asked, -1) {
		for _, n := range name.FindAllStringSubmatchIndex(asked[m[2]:m[3]], -1) {
			if at >= 0 {
				return -1
			}
			at = m[2] + n[2]
		}
	}
	return at
}

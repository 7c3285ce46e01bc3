package sql

import (
	"regexp"
	"strings"

	"anabranch/event"
)

// remark is the end of a line: what it is about, and what is said about it.
var remark = regexp.MustCompile(`"?([\pL_][\pL\pN_]*)"?\s*,?\s*--\s*(.*?)\s*$`)

// commentsOf returns what the text of a view says about the view, in the lines
// of comment that it begins with, and about its columns, in comments at the
// ends of the lines on which their names stand last.
func commentsOf(sql string, shape *event.Shape) (view string, columns []string) {
	columns = make([]string, len(shape.Fields))
	var about []string
	head := true
	for line := range strings.Lines(sql) {
		line = strings.TrimSpace(line)
		if said, ok := strings.CutPrefix(line, "--"); ok {
			if head {
				about = append(about, strings.TrimSpace(said))
			}
			continue
		}
		head = head && line == ""
		if !strings.Contains(line, "--") {
			continue
		}
		m := remark.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for i, f := range shape.Fields {
			if strings.EqualFold(f.Name, m[1]) {
				columns[i] = m[2]
			}
		}
	}
	return strings.TrimSpace(strings.Join(about, " ")), columns
}

package schemas

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// definitionReader walks the tree of pipeline.yaml, so that every mistake gets
// its place and none hides another.
type definitionReader struct {
	fsys     fs.FS
	file     string // the YAML file at hand
	d        *Definition
	problems Problems
}

// parse returns the root of a YAML file, nil when there is none.
func (r *definitionReader) parse(name string) ast.Node {
	r.file = name
	text, ok := r.read(name)
	if !ok {
		return nil
	}
	tree, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		p := Problem{File: name, Message: err.Error()}
		var e yaml.Error
		if errors.As(err, &e) {
			p.Message = e.GetMessage()
			if t := e.GetToken(); t != nil {
				p.Line, p.Column = t.Position.Line, t.Position.Column
			}
		}
		r.problem(p)
		return nil
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		r.problem(Problem{File: name, Line: 1, Column: 1, Message: "the file is empty"})
		return nil
	}
	if len(tree.Docs) > 1 {
		r.at(tree.Docs[1].Start, "there is a second document", "keep one")
	}
	return tree.Docs[0].Body
}

// at records a problem at a token.
func (r *definitionReader) at(t *token.Token, message, hint string) {
	p := Problem{File: r.file, Message: message, Hint: hint}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	r.problem(p)
}

// begins returns where the text of a scalar begins.
func (r *definitionReader) begins(n ast.Node) (line, column int) {
	t := n.GetToken()
	line, column = t.Position.Line, t.Position.Column
	switch {
	case t.Type == token.DoubleQuoteType, t.Type == token.SingleQuoteType:
		column++
	case t.Type == token.LiteralType, t.Type == token.FoldedType: // the text is on the line behind the mark
		lines := strings.Split(r.d.Files[r.file], "\n")
		if line < len(lines) {
			column = 1 + len(lines[line]) - len(strings.TrimLeft(lines[line], " "))
		}
		line++
	}
	return line, column
}

// entry is one key of a mapping.
type entry struct {
	key   *token.Token
	value ast.Node
}

// mapping returns the entries of n; a key that is not among known is a
// problem.
func (r *definitionReader) mapping(n ast.Node, what string, known ...string) map[string]entry {
	values, ok := pairs(n)
	if !ok {
		r.at(n.GetToken(), what+" is a list of keys and values", "it has "+strings.Join(known, ", "))
		return nil
	}
	out := map[string]entry{}
	for _, v := range values {
		key := v.Key.GetToken()
		if !slices.Contains(known, key.Value) {
			r.at(key, fmt.Sprintf("%s has no key %q", what, key.Value), DidYouMean(key.Value, known))
			continue
		}
		out[key.Value] = entry{key, v.Value}
	}
	return out
}

// pairs returns the keys and values of n, if it has any: the parser makes a
// node of its own of a single pair.
func pairs(n ast.Node) (values []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// list returns the elements of n, which may stand alone when one is enough.
func (r *definitionReader) list(n ast.Node) []ast.Node {
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values
	}
	return []ast.Node{n}
}

// text returns a scalar as it was written.
func (r *definitionReader) text(n ast.Node, what string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	r.at(n.GetToken(), what+" is a text", "")
	return "", false
}

func (r *definitionReader) name(n ast.Node, what string) string {
	s, ok := r.text(n, what)
	if ok && !goodName.MatchString(s) {
		r.at(n.GetToken(), fmt.Sprintf("%s cannot be called %q", what, s), nameHint)
	}
	return s
}

// whole returns a number from low to high.
func (r *definitionReader) whole(n ast.Node, what string, low, high int) int {
	s, ok := r.text(n, what)
	if !ok {
		return low
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < low || v > high {
		r.at(n.GetToken(), fmt.Sprintf("%s is %q", what, s), fmt.Sprintf("use a number from %d to %d", low, high))
	}
	return v
}

// truth returns true or false.
func (r *definitionReader) truth(n ast.Node, what string) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.at(n.GetToken(), what+" is neither true nor false", "")
		return false
	}
	return b.Value
}

// duration reads 5ms, 48h or 7d.
func (r *definitionReader) duration(n ast.Node, what string) time.Duration {
	s, ok := r.text(n, what)
	if !ok {
		return 0
	}
	if days, found := strings.CutSuffix(s, "d"); found {
		if v, err := strconv.Atoi(days); err == nil && v >= 0 && v < 36500 {
			return time.Duration(v) * 24 * time.Hour
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		r.at(n.GetToken(), fmt.Sprintf("%s is %q", what, s), "write a time like 5ms, 48h or 7d")
	}
	return v
}

// size reads 64KiB, 1MiB or a number of bytes.
func (r *definitionReader) size(n ast.Node, what string, low, high int) int {
	s, ok := r.text(n, what)
	if !ok {
		return low
	}
	unit, digits := 1, s
	for suffix, u := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if d, found := strings.CutSuffix(s, suffix); found {
			unit, digits = u, strings.TrimSpace(d)
		}
	}
	v, err := strconv.Atoi(digits)
	if err != nil || v > high || v*unit < low || v*unit > high {
		r.at(n.GetToken(), fmt.Sprintf("%s is %q", what, s), fmt.Sprintf("write a size from %dKiB to %dKiB, like 1MiB", low>>10, high>>10))
	}
	return v * unit
}

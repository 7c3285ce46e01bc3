package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"anabranch/event"
)

// Reference is a table that a definition brings along: a file whose rows
// queries may join with views.
type Reference struct {
	Name        string
	Description string
	File        string // in the folder of the definition
	Version     string // as declared; else the beginning of Sum
	Declared    bool   // Version is declared
	Columns     []ReferenceColumn
	Key         []string // columns that tell rows apart; none: rows may be equal
	Sum         string   // SHA-256 of the file, in hex
	Size        int64

	line, column int // in pipeline.yaml
}

// ReferenceColumn is what a definition says about a column of a reference
// table. Columns of the file that it does not name are columns all the same.
type ReferenceColumn struct {
	Name    string
	Type    event.Type // zero: the file tells
	Comment string

	line, column int
}

// referencesFolder is where files of reference tables are.
const referencesFolder = "references"

// A definition holds no rows: in place of a reference table's file it keeps
// which file that is.
const pointerFormat = "anabranch reference table\nsha256 %s\nbytes %d\n"

var pointerText = regexp.MustCompile(`^anabranch reference table\nsha256 ([0-9a-f]{64})\nbytes ([0-9]{1,18})\n$`)

// maxPointer is more than a pointer has.
const maxPointer = 256

// PointerTo is the text that stands for a file in a definition.
func PointerTo(sum string, size int64) string { return fmt.Sprintf(pointerFormat, sum, size) }

// ReadPointer reads what PointerTo writes.
func ReadPointer(text string) (sum string, size int64, ok bool) {
	m := pointerText.FindStringSubmatch(text)
	if m == nil {
		return "", 0, false
	}
	size, err := strconv.ParseInt(m[2], 10, 64)
	return m[1], size, err == nil
}

// Point reads a file of a reference table, or the text that stands for it, and
// returns that text.
func Point(file io.Reader) (string, error) {
	h := sha256.New()
	head := make([]byte, maxPointer)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", err
	}
	if _, _, ok := ReadPointer(string(head[:n])); ok {
		return string(head[:n]), nil
	}
	h.Write(head[:n])
	rest, err := io.Copy(h, file)
	return PointerTo(hex.EncodeToString(h.Sum(nil)), int64(n)+rest), err
}

// IsReferenceFile reports whether a file of a folder may be that of a
// reference table.
func IsReferenceFile(name string) bool {
	return path.Dir(name) == referencesFolder && (path.Ext(name) == ".csv" || path.Ext(name) == ".parquet")
}

// references reads the key references of pipeline.yaml.
func (r *definitionReader) references(e entry) {
	for _, n := range r.list(e.value) {
		keys := r.mapping(n, "a reference table", "name", "file", "version", "description", "columns", "key")
		if keys == nil {
			continue
		}
		t := n.GetToken()
		var ref Reference
		if e, ok := keys["name"]; ok {
			t = e.value.GetToken()
			ref.Name = r.name(e.value, "a reference table")
			if slices.ContainsFunc(r.d.References, func(o Reference) bool { return o.Name == ref.Name }) {
				r.at(t, fmt.Sprintf("the reference table %q is there twice", ref.Name), "")
			}
		} else {
			r.at(t, "the reference table has no name", "add name: countries")
		}
		ref.line, ref.column = t.Position.Line, t.Position.Column
		if e, ok := keys["description"]; ok {
			ref.Description, _ = r.text(e.value, "the description")
		}
		if e, ok := keys["version"]; ok {
			ref.Version, ref.Declared = r.text(e.value, "the version")
		}
		if e, ok := keys["columns"]; ok {
			ref.Columns = r.referenceColumns(e.value)
		}
		if e, ok := keys["key"]; ok {
			for _, n := range r.list(e.value) {
				if s, ok := r.text(n, "a column of the key"); ok {
					ref.Key = append(ref.Key, s)
				}
			}
		}
		if e, ok := keys["file"]; ok {
			r.referenceFile(e.value, &ref)
		} else {
			r.at(t, "the reference table has no file", "add file: references/countries.csv")
		}
		r.d.References = append(r.d.References, ref)
	}
}

// referenceColumns reads columns: {name: TYPE} or {name: {type: TYPE, comment: text}}.
func (r *definitionReader) referenceColumns(n ast.Node) (out []ReferenceColumn) {
	values, ok := pairs(n)
	if !ok {
		r.at(n.GetToken(), "columns is a list of names and types", "write columns: {code: VARCHAR}")
		return nil
	}
	for _, v := range values {
		key := v.Key.GetToken()
		c := ReferenceColumn{Name: key.Value, line: key.Position.Line, column: key.Position.Column}
		typ := v.Value
		if _, scalar := v.Value.(ast.ScalarNode); !scalar {
			in := r.mapping(v.Value, "a column", "type", "comment")
			typ = nil
			if e, ok := in["type"]; ok {
				typ = e.value
			}
			if e, ok := in["comment"]; ok {
				c.Comment, _ = r.text(e.value, "the comment")
			}
		}
		if typ != nil {
			if s, ok := r.text(typ, "the type"); ok {
				if c.Type, ok = ParseType(s); !ok {
					r.at(typ.GetToken(), fmt.Sprintf("a reference table has no column of type %q", s), "use "+typeNames)
				}
			}
		}
		out = append(out, c)
	}
	return out
}

// referenceFile finds the file, and keeps what stands for it.
func (r *definitionReader) referenceFile(n ast.Node, ref *Reference) {
	name, ok := r.text(n, "the file")
	if !ok {
		return
	}
	ref.File = name
	if !fs.ValidPath(name) || !IsReferenceFile(name) {
		r.at(n.GetToken(), fmt.Sprintf("the file is %q", name), "files of reference tables are called references/NAME.csv or references/NAME.parquet")
		return
	}
	file, err := r.fsys.Open(name)
	if err != nil {
		r.at(n.GetToken(), fmt.Sprintf("the file %s is not there", name), "")
		return
	}
	defer file.Close()
	pointer, err := Point(file)
	if err != nil {
		r.at(n.GetToken(), fmt.Sprintf("the file %s cannot be read: %v", name, err), "")
		return
	}
	r.d.Files[name] = pointer
	ref.Sum, ref.Size, _ = ReadPointer(pointer)
	if !ref.Declared {
		ref.Version = ref.Sum[:12]
	}
	if ref.Size > MaxReference {
		r.at(n.GetToken(), fmt.Sprintf("the file %s has %d bytes", name, ref.Size), fmt.Sprintf("a reference table has up to %d MiB; what is larger is better sent as events", MaxReference>>20))
	}
}

// MaxReference is the largest file of a reference table, in bytes.
const MaxReference = 64 << 20

// distinctNames says which reference table is called as a view is.
func (r *definitionReader) distinctNames() {
	for _, ref := range r.d.References {
		if slices.ContainsFunc(r.d.Views, func(v ViewText) bool { return v.Name == ref.Name }) {
			r.problem(Problem{File: pipelineFile, Line: ref.line, Column: ref.column, Message: fmt.Sprintf("%q is a view and a reference table", ref.Name), Hint: "give one of them another name"})
		}
	}
}

const typeNames = "BOOLEAN, INTEGER, BIGINT, DOUBLE, DECIMAL(p,s), DATE, TIMESTAMP or VARCHAR"

var decimalType = regexp.MustCompile(`^DECIMAL\s*\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)$`)

// ParseType reads the name of a type that a reference table's column may have.
func ParseType(text string) (event.Type, bool) {
	text = strings.ToUpper(strings.TrimSpace(text))
	for _, k := range []event.Kind{event.Bool, event.Int32, event.Int64, event.Float64, event.Date, event.Timestamp, event.String} {
		if t := (event.Type{Kind: k}); t.SQL() == text {
			return t, true
		}
	}
	m := decimalType.FindStringSubmatch(text)
	if m == nil {
		return event.Type{}, false
	}
	precision, _ := strconv.Atoi(m[1])
	scale, _ := strconv.Atoi(m[2])
	if precision < 1 || precision > 38 || scale > precision {
		return event.Type{}, false
	}
	return event.Type{Kind: event.Decimal, Precision: uint8(precision), Scale: uint8(scale)}, true
}

// ReferenceChanges says how the reference tables of two definitions differ.
func ReferenceChanges(old, new *Definition) (out []Change) {
	for _, is := range new.References {
		was := old.Reference(is.Name)
		switch {
		case was == nil:
			out = append(out, Change{Name: is.Name, Change: Added, To: is.Version})
		case was.Version != is.Version || was.Rows() != is.Rows():
			out = append(out, Change{Name: is.Name, Change: Changed, From: was.Version, To: is.Version})
		}
	}
	for _, was := range old.References {
		if new.Reference(was.Name) == nil {
			out = append(out, Change{Name: was.Name, Change: Removed, From: was.Version})
		}
	}
	return out
}

// Reference returns the reference table called name, or nil.
func (d *Definition) Reference(name string) *Reference {
	for i := range d.References {
		if d.References[i].Name == name {
			return &d.References[i]
		}
	}
	return nil
}

// Rows identifies the rows that a declaration makes: equal for equal tables.
func (r *Reference) Rows() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q\n", r.Sum, path.Ext(r.File))
	var types []string
	for _, c := range r.Columns {
		if c.Type.Kind != 0 {
			types = append(types, strings.ToLower(c.Name)+" "+c.Type.SQL())
		}
	}
	slices.Sort(types)
	fmt.Fprintln(h, types)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Made identifies the table that was made of a declaration and looked at: equal
// for equal rows with equal keys.
func (r *Reference) Made() string {
	if len(r.Key) == 0 {
		return r.Rows()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q", r.Rows(), r.Key))
	return hex.EncodeToString(sum[:16])
}

// renumbered says which reference table has other rows under a version that it
// had already.
func renumbered(old, new *Definition) error {
	for i := range new.References {
		is := &new.References[i]
		was := old.Reference(is.Name)
		if was != nil && is.Declared && was.Declared && was.Version == is.Version && was.Rows() != is.Rows() {
			return &Problem{File: pipelineFile, Line: is.line, Column: is.column,
				Message: fmt.Sprintf("reference table %s has other rows than version %q of it that is in force", is.Name, is.Version), Hint: "give it another version"}
		}
	}
	return nil
}

package openapi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"strings"
)

// Comments reads the Go files of a package and returns what tells their
// comments: of a type, or of one of its fields. Types of other packages have
// none.
func Comments(pkg string, files fs.FS) (func(t reflect.Type, field string) string, error) {
	names, err := fs.Glob(files, "*.go")
	if err != nil {
		return nil, err
	}
	said := map[[2]string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the comments of %s: %w", pkg, err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range decl.Specs {
				if spec, ok := s.(*ast.TypeSpec); ok {
					said[[2]string{spec.Name.Name, ""}] = comment(spec.Doc, decl.Doc)
					keepFields(said, spec)
				}
			}
		}
	}
	return func(t reflect.Type, field string) string {
		if t.PkgPath() != pkg {
			return ""
		}
		return said[[2]string{t.Name(), field}]
	}, nil
}

func keepFields(said map[[2]string]string, spec *ast.TypeSpec) {
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range fields.Fields.List {
		for _, name := range f.Names {
			said[[2]string{spec.Name.Name, name.Name}] = comment(f.Doc, f.Comment)
		}
	}
}

// comment is the first of some comments, on one line.
func comment(all ...*ast.CommentGroup) string {
	for _, c := range all {
		if c != nil {
			return strings.Join(strings.Fields(c.Text()), " ")
		}
	}
	return ""
}

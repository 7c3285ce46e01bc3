package openapi

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Param is one parameter of a route: what the document says of it, how it is
// checked, and how it is read.
type Param struct {
	Name, About string
	In          string // "query", "header" or "path"
	Required    bool
	Many        bool // it may be given several times
	schema      Schema
	most        time.Duration // of a time
	others      bool          // it stands for parameters of any other name
	like        *regexp.Regexp
	want        string // what is like that
}

// Text is a parameter of the query.
func Text(name, about string) Param {
	return Param{Name: name, About: about, In: "query", schema: Schema{Type: "string"}}
}

// InHeader is a header of the request.
func InHeader(name, about string) Param {
	p := Text(name, about)
	p.In = "header"
	return p
}

// Path is a parameter of the path.
func Path(name, about string) Param {
	p := Text(name, about)
	p.In, p.Required = "path", true
	return p
}

// Whole is a whole number from least to most; a most of 0 is no bound.
func Whole(name, about string, least, most int64) Param {
	p := Text(name, about)
	p.schema = Schema{Type: "integer", Minimum: &least}
	if most != 0 {
		p.schema.Maximum = &most
	}
	return p
}

// Flag is true or false.
func Flag(name, about string) Param {
	p := Text(name, about)
	p.schema = Schema{Type: "boolean"}
	return p
}

// Span is a time like 30s, from 0 to most.
func Span(name, about string, most time.Duration) Param {
	p := Text(name, about)
	p.most = most
	return p.Like(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, "a time up to "+strings.TrimSuffix(most.String(), "0s")+", like 30s")
}

// Others stands for parameters of any name, which the handler checks itself.
func Others(name, about string) Param {
	p := Text(name, about)
	p.schema, p.others = Schema{Type: "object", Additional: &Schema{Type: "string"}}, true
	return p
}

// OneOf allows these values alone.
func (p Param) OneOf(values ...string) Param {
	p.schema.Enum = values
	return p
}

// Like allows only what fits a regular expression, which the document names;
// want says it for people.
func (p Param) Like(pattern, want string) Param {
	p.schema.Pattern, p.like, p.want = pattern, regexp.MustCompile(pattern), want
	return p
}

// Several says that a parameter may be given several times.
func (p Param) Several() Param {
	p.Many = true
	return p
}

// Needed makes a parameter one that has to be given.
func (p Param) Needed() Param {
	p.Required = true
	return p
}

// Of returns the value of a request, "" when it has none.
func (p Param) Of(r *http.Request) string {
	switch p.In {
	case "header":
		return r.Header.Get(p.Name)
	case "path":
		return r.PathValue(p.Name)
	}
	return r.URL.Query().Get(p.Name)
}

// All returns the values of a parameter of the query, without empty ones.
func (p Param) All(r *http.Request) []string {
	return slices.DeleteFunc(r.URL.Query()[p.Name], func(v string) bool { return v == "" })
}

// Int returns a whole number that was checked, or else or.
func (p Param) Int(r *http.Request, or int) int {
	if n, err := strconv.Atoi(p.Of(r)); err == nil {
		return n
	}
	return or
}

// True reports whether a flag that was checked is set.
func (p Param) True(r *http.Request) bool { return p.Of(r) == "true" }

// Duration returns a time that was checked, 0 when there is none.
func (p Param) Duration(r *http.Request) time.Duration {
	d, _ := time.ParseDuration(p.Of(r))
	return d
}

// check says what is wrong with the parameters of a request, other than those
// of its path.
func (r Route) check(req *http.Request) error {
	q, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("read the parameters: %w", err)
	}
	known, anything := map[string]bool{}, false
	var names []string
	for _, p := range r.Params {
		if p.others {
			anything = true
			continue
		}
		values := q[p.Name]
		switch p.In {
		case "query":
			known[p.Name] = true
			names = append(names, p.Name)
		case "path":
			continue
		default:
			values = nil
			if v := p.Of(req); v != "" {
				values = []string{v}
			}
		}
		if len(values) > 1 && !p.Many {
			return fmt.Errorf("parameter %s is given %d times", p.Name, len(values))
		}
		if p.Required && (len(values) == 0 || values[0] == "") {
			return fmt.Errorf("parameter %s is missing: %s", p.Name, p.About)
		}
		for _, v := range values {
			if err := p.check(v); err != nil {
				return err
			}
		}
	}
	for name := range q {
		switch {
		case anything || known[name]:
		case len(names) == 0:
			return fmt.Errorf("there is no parameter %q: there is none at all", name)
		default:
			return fmt.Errorf("there is no parameter %q: there is %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

// check tells whether a text is a value of the parameter.
func (p Param) check(text string) error {
	want := ""
	switch s := p.schema; {
	case p.like != nil && !p.like.MatchString(text):
		want = p.want
	case s.Enum != nil:
		if !slices.Contains(s.Enum, text) {
			want = strings.Join(s.Enum, ", ")
		}
	case s.Type == "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err == nil && strconv.FormatInt(n, 10) == text && n >= *s.Minimum && (s.Maximum == nil || n <= *s.Maximum) {
			break
		}
		if want = fmt.Sprintf("a number from %d", *s.Minimum); s.Maximum != nil {
			want += fmt.Sprintf(" to %d", *s.Maximum)
		}
	case s.Type == "boolean":
		if text != "true" && text != "false" {
			want = "true or false"
		}
	case p.most > 0:
		if d, err := time.ParseDuration(text); err != nil || d < 0 || d > p.most {
			want = p.want
		}
	}
	if want != "" {
		return fmt.Errorf("%s %q: want %s", p.Name, text, want)
	}
	return nil
}

package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"
)

// options is the command line.
type options struct {
	Dir        string // holds the database; made when absent
	Port       int    // of the gRPC frontend; 0 picks a free one
	UIPort     int    // of the web UI; 0 picks a free one
	Log        string // lowest level the server logs
	Attributes attributes
}

// attributes are search attributes by name. It is a repeatable flag.
type attributes map[string]enums.IndexedValueType

// typesByName holds the types of search attributes as the Temporal CLI and UI
// spell them.
var typesByName = map[string]enums.IndexedValueType{
	"Bool":        enums.INDEXED_VALUE_TYPE_BOOL,
	"Datetime":    enums.INDEXED_VALUE_TYPE_DATETIME,
	"Double":      enums.INDEXED_VALUE_TYPE_DOUBLE,
	"Int":         enums.INDEXED_VALUE_TYPE_INT,
	"Keyword":     enums.INDEXED_VALUE_TYPE_KEYWORD,
	"KeywordList": enums.INDEXED_VALUE_TYPE_KEYWORD_LIST,
	"Text":        enums.INDEXED_VALUE_TYPE_TEXT,
}

// String is empty so that flag prints no default.
func (a attributes) String() string { return "" }

// Set adds one NAME=type.
func (a attributes) Set(s string) error {
	name, kind, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("want NAME=type, for example Pipeline=Keyword")
	}
	for spelled, t := range typesByName {
		if strings.EqualFold(spelled, kind) {
			if before, ok := a[name]; ok && before != t {
				return fmt.Errorf("%s is given twice with different types", name)
			}
			a[name] = t
			return nil
		}
	}
	return fmt.Errorf("no type %q: use one of %s", kind, strings.Join(slices.Sorted(maps.Keys(typesByName)), ", "))
}

var levels = []string{"debug", "info", "warn", "error"}

// parse reads the command line; -h prints usage to out and yields
// flag.ErrHelp.
func parse(args []string, out io.Writer) (options, error) {
	opts := options{Attributes: attributes{}}
	flags := flag.NewFlagSet("temporal", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.Dir, "dir", "", "directory of the database, made when absent (required)")
	flags.IntVar(&opts.Port, "port", 7233, "port of the gRPC frontend on 127.0.0.1, 0 for a free one")
	flags.IntVar(&opts.UIPort, "ui-port", 8233, "port of the web UI on 127.0.0.1, 0 for a free one")
	flags.StringVar(&opts.Log, "log", "error", "lowest level to log: "+strings.Join(levels, ", "))
	flags.Var(opts.Attributes, "search-attribute", "`NAME=type` of a search attribute, repeatable; types: "+strings.Join(slices.Sorted(maps.Keys(typesByName)), ", "))
	if err := flags.Parse(args); err != nil {
		if err == flag.ErrHelp {
			fmt.Fprintln(out, "temporal: a Temporal server and UI for one machine, on one SQLite file.\nIt stops on SIGINT, SIGTERM and when a pipe on its standard input closes.\n\nFlags:")
			flags.SetOutput(out)
			flags.PrintDefaults()
		}
		return options{}, err
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q: everything is given by flags, see -h", flags.Arg(0))
	case opts.Dir == "":
		return options{}, fmt.Errorf("--dir is missing: name the directory that holds the database")
	case !slices.Contains(levels, opts.Log):
		return options{}, fmt.Errorf("--log %q: use one of %s", opts.Log, strings.Join(levels, ", "))
	}
	for _, p := range []struct {
		flag string
		port int
	}{{"--port", opts.Port}, {"--ui-port", opts.UIPort}} {
		if p.port < 0 || p.port > 65535 {
			return options{}, fmt.Errorf("%s %d: a port is a number from 0 to 65535", p.flag, p.port)
		}
	}
	if opts.Port == opts.UIPort && opts.Port != 0 {
		return options{}, fmt.Errorf("--port and --ui-port are both %d: give them different ports, or 0", opts.Port)
	}
	return opts, nil
}

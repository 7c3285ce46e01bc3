package temporalserver

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The test binary also plays a Temporal server, the Temporal CLI, the go
// command, and a parent that is going to be killed: told apart by how it is
// called. What a fake should do differently is written in its directory.
func TestMain(m *testing.M) {
	args := os.Args[1:]
	switch {
	case len(args) > 0 && args[0] == "server":
		fakeCLI(args[2:])
	case slices.Contains(args, "--dir"):
		fakeServer(args)
	case len(args) > 0 && (args[0] == "build" || args[0] == "env"):
		fakeGo(args)
	case len(args) > 0 && args[0] == "parent":
		fakeParent(args[1], args[2])
	default:
		os.Exit(m.Run())
	}
}

// orders for a fake server, in the file orders.json of its directory.
type orders struct {
	Tell    string // address that is connected to for as long as the fake lives
	Fail    string // print this and exit with 1
	Once    bool   // the next fake has no orders
	Garbage bool   // print something else than a ready line
	Mute    bool   // never print anything
	Deaf    bool   // do not stop when stdin closes
}

func order(t *testing.T, dir string, o orders) {
	t.Helper()
	data, _ := json.Marshal(o)
	// Renamed, because a fake may be reading.
	if err := os.WriteFile(dir+"/orders.new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/orders.new", dir+"/orders.json"); err != nil {
		t.Fatal(err)
	}
}

func fakeServer(args []string) {
	flags := flag.NewFlagSet("fake", flag.ExitOnError)
	dir, port := flags.String("dir", "", ""), flags.Int("port", 0, "")
	uiPort := flags.Int("ui-port", 0, "")
	flags.String("log", "", "")
	flags.Func("search-attribute", "", func(string) error { return nil })
	_ = flags.Parse(args)
	var o orders
	data, _ := os.ReadFile(*dir + "/orders.json")
	_ = json.Unmarshal(data, &o)
	if o.Once {
		_ = os.Remove(*dir + "/orders.json")
	}
	if o.Tell != "" {
		conn, err := net.Dial("tcp", o.Tell)
		if err != nil {
			os.Exit(3)
		}
		fmt.Fprintf(conn, "%d\n", os.Getpid())
	}
	switch {
	case o.Fail != "":
		fmt.Fprintln(os.Stderr, o.Fail)
		os.Exit(1)
	case o.Garbage:
		fmt.Println("Server: localhost")
	case !o.Mute:
		listen := func(port int) string {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return l.Addr().String()
		}
		line, _ := json.Marshal(ready{listen(*port), "http://" + listen(*uiPort), os.Getpid()})
		fmt.Println(string(line))
	}
	if o.Deaf {
		select {}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// fakeCLI is `temporal server start-dev`: it serves the one HTTP call that
// readiness is judged by and, like the real one, ignores its stdin.
func fakeCLI(args []string) {
	flags := flag.NewFlagSet("fake", flag.ExitOnError)
	port, uiPort := flags.Int("port", 0, ""), flags.Int("ui-port", 0, "")
	file := flags.String("db-filename", "", "")
	for _, name := range []string{"ip", "log-level"} {
		flags.String(name, "", "")
	}
	flags.Func("search-attribute", "", func(string) error { return nil })
	_ = flags.Parse(args)
	var o orders
	data, _ := os.ReadFile(filepath.Dir(*file) + "/orders.json")
	_ = json.Unmarshal(data, &o)
	if conn, err := net.Dial("tcp", o.Tell); err == nil {
		fmt.Fprintf(conn, "%d\n", os.Getpid())
	}
	if _, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port)); err != nil {
		os.Exit(1)
	}
	_ = http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *uiPort), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/default/workflow-count" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
}

// fakeGo answers `go env` and `go build -C source -v -ldflags … -o out .`. The
// file "wait" in the source makes it wait until that is removed; "broken"
// makes it fail; each build leaves a line in "builds".
func fakeGo(args []string) {
	if args[0] == "env" {
		fmt.Println("go1.fake")
		return
	}
	source, out := args[2], args[len(args)-2]
	fmt.Fprintln(os.Stderr, "go: downloading example.com/x v1.0.0")
	fmt.Fprintln(os.Stderr, "internal/goarch\nexample.com/x")
	log, err := os.OpenFile(source+"/builds", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(1)
	}
	fmt.Fprintln(log, "built")
	for {
		if _, err := os.Stat(source + "/wait"); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := os.Stat(source + "/broken"); err == nil {
		fmt.Fprintln(os.Stderr, "./main.go:1:1: expected declaration")
		os.Exit(1)
	}
	script := "#!/bin/sh\nexec '" + strings.ReplaceAll(os.Args[0], "'", `'\''`) + "' \"$@\"\n"
	if err := os.WriteFile(out, []byte(script), 0o755); err != nil {
		os.Exit(1)
	}
}

// fakeParent starts a server and waits to be killed.
func fakeParent(kind, dir string) {
	opts := Options{Dir: dir, Binary: os.Args[0]}
	if kind == "cli" {
		opts.Binary, opts.CLI = "", os.Args[0]
	}
	if err := New(opts).Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("up")
	select {}
}

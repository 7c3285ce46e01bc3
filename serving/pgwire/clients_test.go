package pgwire_test

import (
	"context"
	"flag"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var python = flag.String("python", "", "a python that has psycopg, asyncpg, SQLAlchemy, ADBC and pyodbc")

// TestClients points real clients at a door: psql, psycopg, asyncpg,
// SQLAlchemy, ADBC, psqlODBC, Superset,
// Grafana's libraries and pgjdbc. `make test-clients` gets what it can and runs it;
// what is not there is named.
func TestClients(t *testing.T) {
	if *python == "" {
		t.Skip("real clients run by `make test-clients`")
	}
	b := open(t)
	b.fold("shops", 1, 500)
	b.fold("web", 1, 50)
	at := "postgres://ada@" + b.address + "/anabranch"
	jdbc := url.URL{Scheme: "jdbc:postgresql", Host: b.address, Path: "anabranch", RawQuery: "user=ada&password=x"}
	jar := os.Getenv("PGJDBC")
	if jar == "" {
		jar = "/usr/share/java/postgresql.jar"
	}
	odbc := os.Getenv("PSQLODBC")
	if odbc == "" {
		found, _ := filepath.Glob("/usr/lib/*/odbc/psqlodbcw.so")
		odbc = strings.Join(append(found, "/usr/lib/odbc/psqlodbcw.so")[:1], "")
	}
	// Superset has a place of its own.
	superset := filepath.Join(filepath.Dir(filepath.Dir(*python)), "superset", "bin", "python")
	grafana := filepath.Join(filepath.Dir(filepath.Dir(*python)), "grafana")
	ran := 0
	for _, c := range []struct {
		name    string
		needs   []string // programs and files
		command []string
	}{
		{"psql", []string{"psql"}, []string{"sh", "testdata/clients/psql.sh", at}},
		{"psycopg", []string{*python}, []string{*python, "testdata/clients/with_psycopg.py", at}},
		{"asyncpg", []string{*python}, []string{*python, "testdata/clients/with_asyncpg.py", at}},
		{"SQLAlchemy", []string{*python}, []string{*python, "testdata/clients/with_sqlalchemy.py", at}},
		{"ADBC", []string{*python}, []string{*python, "testdata/clients/with_adbc.py", at}},
		{"psqlODBC", []string{*python, odbc}, []string{*python, "testdata/clients/with_odbc.py", at, odbc}},
		{"Superset", []string{superset}, []string{superset, "../../tools/clients/with_superset.py", at}},
		{"Grafana", []string{grafana}, []string{grafana, at}},
		{"pgjdbc", []string{"java", "javac", jar}, []string{"java", "-cp", jar, "testdata/clients/Jdbc.java", jdbc.String()}},
	} {
		missing := ""
		for _, need := range c.needs {
			if _, err := exec.LookPath(need); err != nil {
				if _, err := os.Stat(need); err != nil {
					missing += " " + need
				}
			}
		}
		if missing != "" {
			t.Logf("NOT RUN: %s, there is no%s", c.name, missing)
			continue
		}
		ran++
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, c.command[0], c.command[1:]...).CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Error(err)
			}
		})
	}
	if ran == 0 {
		t.Error("none of the clients is there: see README.md for what to install")
	}
}

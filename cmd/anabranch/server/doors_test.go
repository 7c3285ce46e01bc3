package server

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"anabranch/fault"
)

// What listens beyond loopback has TLS and users, or does not start.
func TestDoorsBeyondLoopback(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{PG: "127.0.0.1:5432"}, ""},
		{Config{PG: "none"}, ""},
		{Config{}, ""},
		{Config{PG: "0.0.0.0:5432"}, "--pg"},
		{Config{PG: ":5432"}, "--pg"},
		{Config{PG: "0.0.0.0:5432", TLSCert: "c", TLSKey: "k"}, "--pg"},
		{Config{PG: "0.0.0.0:5432", Users: "u"}, "--pg"},
		{Config{PG: "0.0.0.0:5432", TLSCert: "c", TLSKey: "k", Users: "u"}, ""},
		{Config{PG: "127.0.0.1:5432", TLSCert: "c"}, "--tls-key"},
		{Config{PG: "0.0.0.0:5432", TrustNetwork: true}, ""},
		{Config{Flight: "127.0.0.1:0"}, ""},
		{Config{Flight: "none"}, ""},
		{Config{PG: "127.0.0.1:5432", Flight: "0.0.0.0:32010"}, "--flight"},
		{Config{Flight: "0.0.0.0:32010", TLSCert: "c", TLSKey: "k"}, "--flight"},
		{Config{Flight: "0.0.0.0:32010", TLSCert: "c", TLSKey: "k", Users: "u"}, ""},
	} {
		c.config.Roles = []Role{RoleSpeed}
		err := c.config.validateDoors()
		if c.want == "" && err != nil || c.want != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

func TestAServerHasDoors(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", PG: "127.0.0.1:0", Flight: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Temporal: "none", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	conn, err := pgx.Connect(t.Context(), s.Addresses().PG)
	if err != nil {
		t.Fatal(s.Addresses().PG, err)
	}
	defer conn.Close(context.Background())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT 41 + $1::int", 1).Scan(&n); err != nil || n != 42 {
		t.Fatal(n, err)
	}
	door, err := flightsql.NewClient(strings.TrimPrefix(s.Addresses().Flight, "grpc://"), nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	info, err := door.Execute(t.Context(), "SELECT 42")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := door.DoGet(t.Context(), info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	if rec, err := rows.Read(); err != nil || rec.Column(0).ValueStr(0) != "42" {
		t.Fatal(rec, err)
	}
}

func TestTheURLNamesAHost(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"127.0.0.1:5432": "@127.0.0.1:5432/anabranch", "[::]:5432": "@localhost:5432/anabranch?sslmode=require", "0.0.0.0:1": "@localhost:1/anabranch?sslmode=require"} {
		if got := pgURL(address, !loopback(address)); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

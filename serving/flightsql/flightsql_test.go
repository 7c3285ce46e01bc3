package flightsql_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight"
	client "github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/flightsql"
	"anabranch/serving/servingtest"
	"anabranch/serving/sql"
	"anabranch/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sale = `{"type":"record","name":"Sale","fields":[
	{"name":"shop","type":"string"},
	{"name":"units","type":"int"},
	{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}}]}`

// bench is a pipeline shops with a view by_shop, behind a door.
type bench struct {
	testing.TB
	shape  *event.Shape
	views  []*view.View
	speed  *servingtest.Speed
	engine *sql.Engine
	door   *flightsql.Door
	addr   string
	client *client.Client
}

func setup(t testing.TB, o flightsql.Options, dial ...grpc.DialOption) *bench {
	t.Helper()
	schema := servingtest.Schema(t, sale)
	b := &bench{TB: t, shape: schema.Shape()}
	v, err := view.Compile(t.Context(), view.Source{Name: "by_shop", SQL: "SELECT shop, count(*) AS n, sum(units) AS units, sum(price) AS price FROM events GROUP BY ALL"}, b.shape, "")
	if err != nil {
		t.Fatal(err)
	}
	b.views, b.speed = []*view.View{v}, servingtest.NewSpeed(v)
	a := archive.Open(bucket.NewMemory(), "shops", schemas.NewSet(schema), archive.Options{Partitions: 1, CacheDir: t.TempDir()})
	src := &serving.Source{Name: "shops", Views: b.views, Speed: b.speed, Batch: a, Head: b.speed.Head}
	b.engine, err = sql.New(t.Context(), serving.New(serving.Options{Patience: 5 * time.Minute, Sources: func() []*serving.Source { return []*serving.Source{src} }}), sql.Options{Patience: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.engine.Close() })
	if b.door, err = flightsql.New(b.engine, o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- b.door.Serve(l) }()
	t.Cleanup(func() {
		b.door.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	if len(dial) == 0 {
		dial = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	if b.client, err = client.NewClient(b.addr, nil, nil, dial...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.client.Close() })
	return b
}

// fold adds one sale.
func (b *bench) fold(shop string, units, cents int64) {
	dict := &event.Dict{}
	e := &event.Batch{Shape: b.shape, N: 1, Columns: make([]event.Column, 3)}
	for i, f := range b.shape.Fields {
		e.Columns[i].Type = f.Type
	}
	e.Columns[0].Codes, e.Columns[0].Dict = []uint32{dict.Append([]byte(shop))}, dict
	e.Columns[1].Ints, e.Columns[2].Ints = []int64{units}, []int64{cents}
	b.speed.Fold(b, b.speed.At()[0]+1, e)
}

// get reads all rows of a flight.
func (b *bench) get(ctx context.Context, info *flight.FlightInfo, err error) ([]string, *arrow.Schema, error) {
	if err != nil {
		return nil, nil, err
	}
	var rows []string
	r, err := b.client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		return nil, nil, err
	}
	defer r.Release()
	for r.Next() {
		rec := r.Record()
		for i := range int(rec.NumRows()) {
			cells := make([]string, rec.NumCols())
			for c, col := range rec.Columns() {
				cells[c] = col.ValueStr(i)
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return rows, nil, err
	}
	return rows, r.Schema(), nil
}

func (b *bench) ask(query string) []string {
	b.Helper()
	info, err := b.client.Execute(b.Context(), query)
	rows, _, err := b.get(b.Context(), info, err)
	if err != nil {
		b.Fatalf("%s: %v", query, err)
	}
	return rows
}

// A ticket is one cut, however late it is redeemed, and the receipt says which.
// After a whole answer it is gone.
func TestAFlightIsOneCut(t *testing.T) {
	b := setup(t, flightsql.Options{})
	b.fold("a", 3, 250)
	const query = "SELECT * FROM shops.by_shop ORDER BY shop"
	info, err := b.client.Execute(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	b.fold("b", 1, 100)
	rows, schema, err := b.get(t.Context(), info, nil)
	if err != nil || !slices.Equal(rows, []string{"a|1|3|2.5"}) {
		t.Fatal(rows, err)
	}
	told, err := flight.DeserializeSchema(info.Schema, memory.DefaultAllocator)
	if err != nil || !told.Equal(schema) {
		t.Errorf("told %s, got %s, %v", told, schema, err)
	}
	var receipt serving.Receipt
	text, _ := schema.Metadata().GetValue(sql.ReceiptKey)
	if err := json.Unmarshal([]byte(text), &receipt); err != nil || receipt.Pipelines["shops"].At[0] != 1 || text != string(info.AppMetadata) {
		t.Errorf("receipt %s, in the info %s, %v", text, info.AppMetadata, err)
	}
	if rows := b.ask(query); len(rows) != 2 {
		t.Error(rows)
	}
	if _, _, err := b.get(t.Context(), info, nil); status.Code(err) != codes.FailedPrecondition {
		t.Error("a ticket after its answer:", err)
	}
	// The bench keeps no past, which is what the engine says when it is asked.
	then := metadata.AppendToOutgoingContext(t.Context(), "anabranch-as-of", string(info.AppMetadata))
	if _, err := b.client.Execute(then, query); !strings.Contains(fmt.Sprint(err), "as of a receipt") {
		t.Error("as of a receipt:", err)
	}
	if rows := b.ask("SELECT * FROM shops.by_shop WHERE false"); len(rows) != 0 {
		t.Error(rows)
	}
}

func TestConsistencyAndLimitsByHeader(t *testing.T) {
	b := setup(t, flightsql.Options{})
	b.fold("a", 3, 250)
	ask := func(query string, headers ...string) ([]string, error) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), headers...)
		info, err := b.client.Execute(ctx, query)
		rows, _, err := b.get(ctx, info, err)
		return rows, err
	}
	for _, headers := range [][]string{{"anabranch-consistency", "eventual"}, {"anabranch-consistency", "latest"}, {"anabranch-at-least", `{"pipeline":"shops","positions":["0/0/0"]}`}} {
		if rows, err := ask("SELECT n FROM shops.by_shop", headers...); err != nil || len(rows) != 1 {
			t.Error(headers, rows, err)
		}
	}
	for _, headers := range [][]string{{"anabranch-consistency", "some"}, {"anabranch-at-least", "x"}, {"anabranch-timeout", "soon"}, {"anabranch-max-rows", "-1"}, {"anabranch-asof", "{}"}} {
		if _, err := ask("SELECT n FROM shops.by_shop", headers...); status.Code(err) != codes.InvalidArgument {
			t.Error(headers, err)
		}
	}
	done := make(chan error, 1)
	go func() {
		rows, err := ask("SELECT shop, n FROM shops.by_shop ORDER BY shop", "anabranch-at-least", `{"pipeline":"shops","positions":["0/1/0"]}`)
		if err == nil && len(rows) != 2 {
			err = fmt.Errorf("%q", rows)
		}
		done <- err
	}()
	time.Sleep(20 * time.Millisecond) // in which a query that does not wait would answer
	b.fold("b", 1, 100)
	if err := <-done; err != nil {
		t.Error("an answer that waits for an event:", err)
	}
	if _, err := ask("SELECT count(*) FROM range(100000) a, range(100000) b WHERE hash(a.range + b.range) % 7 = 3", "anabranch-timeout", "100ms"); status.Code(err) != codes.DeadlineExceeded {
		t.Error("time:", err)
	}
}

func TestPreparedStatements(t *testing.T) {
	b := setup(t, flightsql.Options{Statements: 2})
	b.fold("a", 3, 250)
	b.fold("b", 1, 100)
	ctx := t.Context()
	p, err := b.client.Prepare(ctx, "SELECT shop, price FROM shops.by_shop WHERE units >= $1 AND shop <> $2 AND price < $3 ORDER BY shop")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ParameterSchema().NumFields(); got != 3 {
		t.Errorf("%d parameters", got)
	}
	if got := p.DatasetSchema().Field(1).Type.String(); got != "decimal(38, 2)" {
		t.Errorf("price is %s", got)
	}
	for _, c := range []struct {
		units int64
		not   string
		want  []string
	}{{1, "", []string{"a|2.5", "b|1"}}, {2, "", []string{"a|2.5"}}, {1, "a", []string{"b|1"}}} {
		rb := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
			{Name: "1", Type: arrow.PrimitiveTypes.Int64}, {Name: "2", Type: arrow.BinaryTypes.String}, {Name: "3", Type: &arrow.Decimal128Type{Precision: 10, Scale: 2}},
		}, nil))
		rb.Field(0).(*array.Int64Builder).Append(c.units)
		rb.Field(1).(*array.StringBuilder).Append(c.not)
		if err := rb.Field(2).(*array.Decimal128Builder).AppendValueFromString("99.5"); err != nil {
			t.Fatal(err)
		}
		p.SetParameters(rb.NewRecord())
		info, err := p.Execute(ctx)
		rows, _, err := b.get(ctx, info, err)
		if err != nil || !slices.Equal(rows, c.want) {
			t.Errorf("%+v: %q, %v", c, rows, err)
		}
	}
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
	var all []*client.PreparedStatement
	for range 3 {
		p, err := b.client.Prepare(ctx, "SELECT 1")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if _, err := all[0].Execute(ctx); status.Code(err) != codes.NotFound {
		t.Error("the oldest of more statements than there may be:", err)
	}
	if _, err := all[2].Execute(ctx); err != nil {
		t.Error(err)
	}
	if _, err := b.client.ExecuteUpdate(ctx, "DELETE FROM shops.by_shop"); status.Code(err) != codes.PermissionDenied {
		t.Error("an update:", err)
	}
}

// Tickets are over after their time, or when others take their place; what is
// read already goes on.
func TestTicketsEnd(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	b := setup(t, flightsql.Options{Clock: now, Ticket: time.Minute, Tickets: 2})
	var infos []*flight.FlightInfo
	for range 3 {
		info, err := b.client.Execute(t.Context(), "SELECT count(*) FROM shops.by_shop")
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	if _, _, err := b.get(t.Context(), infos[0], nil); status.Code(err) != codes.FailedPrecondition {
		t.Error("a ticket whose place was taken:", err)
	}
	if rows, _, err := b.get(t.Context(), infos[2], nil); err != nil || rows[0] != "0" {
		t.Error(rows, err)
	}
	now.Advance(2 * time.Minute)
	if _, _, err := b.get(t.Context(), infos[2], nil); status.Code(err) != codes.FailedPrecondition {
		t.Error("a ticket after its time:", err)
	}
}

// A query that is cancelled, whose client is gone, or whose door closes, is
// over within a second.
func TestCancel(t *testing.T) {
	b := setup(t, flightsql.Options{})
	const endless = "SELECT range FROM range(100000000000)"
	start := func(ctx context.Context) (*flight.FlightInfo, *flight.Reader) {
		info, err := b.client.Execute(ctx, endless)
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.client.DoGet(ctx, info.Endpoint[0].Ticket)
		if err != nil || !r.Next() {
			t.Fatal("no rows", err)
		}
		return info, r
	}
	rest := func(r *flight.Reader) (took time.Duration, err error) {
		defer r.Release()
		began := time.Now()
		for r.Next() {
		}
		return time.Since(began), r.Err()
	}
	info, r := start(t.Context())
	res, err := b.client.CancelFlightInfo(t.Context(), &flight.CancelFlightInfoRequest{Info: info})
	if err != nil || res.Status != flight.CancelStatusCancelled {
		t.Error(res, err)
	}
	if took, err := rest(r); status.Code(err) != codes.Canceled || took > 5*time.Minute {
		t.Errorf("cancelled: %v after %s", err, took)
	}
	if _, _, err := b.get(t.Context(), info, nil); status.Code(err) != codes.FailedPrecondition {
		t.Error("the ticket of a cancelled query:", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	info, r = start(ctx)
	cancel()
	if took, err := rest(r); status.Code(err) != codes.Canceled || took > 5*time.Minute {
		t.Errorf("client gone: %v after %s", err, took)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if r, err = b.client.DoGet(ctx, info.Endpoint[0].Ticket); err != nil || !r.Next() {
		t.Error("the same again, after an answer that broke off:", err)
	}
	cancel()
	r.Release()
	_, r = start(t.Context())
	began := time.Now()
	b.door.Close()
	if took := time.Since(began); took > 5*time.Minute {
		t.Errorf("closing took %s", took)
	}
	if _, err := rest(r); err == nil {
		t.Error("a broken answer looks like a whole one")
	}
}

// An error after the first rows is no end.
func TestErrors(t *testing.T) {
	b := setup(t, flightsql.Options{})
	for query, want := range map[string]codes.Code{
		"SELECT CASE WHEN i = 900000 THEN error('half way') ELSE i END FROM range(1000000) t(i)": codes.InvalidArgument,
		"SELEC 1":                     codes.InvalidArgument,
		"SELECT * FROM shops.by_shp":  codes.NotFound,
		"SELECT * FROM shps.by_shop":  codes.NotFound,
		"SELECT TIMETZ '12:00:00+02'": codes.InvalidArgument,
	} {
		info, err := b.client.Execute(t.Context(), query)
		rows, _, err := b.get(t.Context(), info, err)
		s, _ := status.FromError(err)
		if s.Code() != want || len(s.Details()) != 1 || s.Details()[0].(*errdetails.ErrorInfo).Reason == "" {
			t.Errorf("%s: %d rows, %v %v, want %s", query, len(rows), err, s.Details(), want)
		}
	}
}

func TestCatalog(t *testing.T) {
	b := setup(t, flightsql.Options{Version: "7"})
	ctx := t.Context()
	list := func(info *flight.FlightInfo, err error) []string {
		t.Helper()
		rows, schema, err := b.get(ctx, info, err)
		if err != nil {
			t.Fatal(err)
		}
		if told, err := flight.DeserializeSchema(info.Schema, memory.DefaultAllocator); err != nil || !told.Equal(schema) {
			t.Errorf("told %s, got %s, %v", told, schema, err)
		}
		return rows
	}
	same := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	same("catalogs", list(b.client.GetCatalogs(ctx)), "")
	same("schemas", list(b.client.GetDBSchemas(ctx, &client.GetDBSchemasOpts{})), "|shops")
	no := "x%"
	same("no schemas", list(b.client.GetDBSchemas(ctx, &client.GetDBSchemasOpts{DbSchemaFilterPattern: &no})))
	same("tables", list(b.client.GetTables(ctx, &client.GetTablesOpts{})), "|shops|by_shop|VIEW")
	some, table := "s_op%", []string{"TABLE"}
	same("tables like s_op%", list(b.client.GetTables(ctx, &client.GetTablesOpts{DbSchemaFilterPattern: &some})), "|shops|by_shop|VIEW")
	same("reference tables", list(b.client.GetTables(ctx, &client.GetTablesOpts{TableTypes: table})))
	same("types", list(b.client.GetTableTypes(ctx)), "TABLE", "VIEW")
	ref := client.TableRef{Table: "by_shop"}
	same("primary keys", list(b.client.GetPrimaryKeys(ctx, ref)))
	same("imported keys", list(b.client.GetImportedKeys(ctx, ref)))
	same("exported keys", list(b.client.GetExportedKeys(ctx, ref)))
	same("cross references", list(b.client.GetCrossReference(ctx, ref, ref)))
	same("types of values", list(b.client.GetXdbcTypeInfo(ctx, nil)))
	info, err := b.client.GetSqlInfo(ctx, []client.SqlInfo{client.SqlInfoFlightSqlServerName, 99999, client.SqlInfoFlightSqlServerVersion})
	if got := list(info, err); len(got) != 2 || !strings.Contains(got[0], "anabranch") {
		t.Errorf("%q", got)
	}
	if got := list(b.client.GetSqlInfo(ctx, nil)); len(got) < 20 {
		t.Errorf("%q", got)
	}

	info, err = b.client.GetTables(ctx, &client.GetTablesOpts{IncludeSchema: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil || !r.Next() {
		t.Fatal(err)
	}
	defer r.Release()
	columns, err := flight.DeserializeSchema(r.Record().Column(4).(*array.Binary).Value(0), memory.DefaultAllocator)
	if err != nil || columns.NumFields() != 4 || columns.Field(3).Type.String() != "decimal(38, 2)" {
		t.Errorf("%s, %v", columns, err)
	}
	for r.Next() {
	}
	schema, err := b.client.GetExecuteSchema(ctx, "SELECT price FROM shops.by_shop")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := flight.DeserializeSchema(schema.Schema, memory.DefaultAllocator); err != nil || got.Field(0).Name != "price" {
		t.Error(got, err)
	}
}

type oneUser struct{}

func (oneUser) Check(name, password string) bool { return name == "ana" && password == "secret" }

func TestUsersAndTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "door"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if parsed, err := x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	} else {
		pool.AddCert(parsed)
	}
	b := setup(t, flightsql.Options{
		Users: oneUser{}, TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
	}, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
	if _, err := b.client.Execute(t.Context(), "SELECT 1"); status.Code(err) != codes.Unauthenticated {
		t.Error("nobody:", err)
	}
	if _, err := b.client.Client.AuthenticateBasicToken(t.Context(), "ana", "wrong"); status.Code(err) != codes.Unauthenticated {
		t.Error("a wrong password:", err)
	}
	ctx, err := b.client.Client.AuthenticateBasicToken(t.Context(), "ana", "secret")
	if err != nil {
		t.Fatal(err)
	}
	info, err := b.client.Execute(ctx, "SELECT 1")
	if rows, _, err := b.get(ctx, info, err); err != nil || rows[0] != "1" {
		t.Error("by handshake:", rows, err)
	}
	basic := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Basic YW5hOnNlY3JldA==")
	info, err = b.client.Execute(basic, "SELECT 1")
	if rows, _, err := b.get(basic, info, err); err != nil || rows[0] != "1" {
		t.Error("by password in the call:", rows, err)
	}
	forged := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	if _, err := b.client.Execute(forged, "SELECT 1"); status.Code(err) != codes.Unauthenticated {
		t.Error("a forged token:", err)
	}
}

// Prepared statements have so much room, and those that nobody has asked for in the
// longest time go first.
func TestPreparedStatementsHaveSoMuchRoom(t *testing.T) {
	t.Parallel()
	b := setup(t, flightsql.Options{})
	text := strings.Repeat("x", 200_000)
	prepare := func(i int) *client.PreparedStatement {
		t.Helper()
		p, err := b.client.Prepare(t.Context(), fmt.Sprintf("SELECT %d AS n, '%s' AS t", i, text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	used, idle := prepare(0), prepare(1)
	for i := range 200 { // 80 MB
		prepare(2 + i)
		if _, err := used.Execute(t.Context()); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := idle.Execute(t.Context()); status.Code(err) != codes.NotFound {
		t.Errorf("200 statements later: %v", err)
	}
	if _, err := prepare(500).Execute(t.Context()); err != nil {
		t.Error(err)
	}
}

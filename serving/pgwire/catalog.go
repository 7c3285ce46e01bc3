package pgwire

import (
	"cmp"
	"context"
	"database/sql"
	_ "embed" // what the catalog is made of
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"anabranch/fault"
	engine "anabranch/serving/sql"
)

var (
	//go:embed relations.txt
	relationsText string
	//go:embed pgtypes.txt
	typesText string
	//go:embed catalog.sql
	catalogText string
)

// catalog imitates PostgreSQL's catalog: pg_class and its kin as tables of a
// DuckDB of their own, in memory and locked, filled from what the engine has.
// A question that names them is rewritten a little, see [rewrite], and asked
// there.
type catalog struct {
	engine    *engine.Engine
	o         Options
	db        *sql.DB
	places    *engine.Places
	functions map[string]bool // macros of the catalog, which queries may call
	types     string          // of the variable types
	start     string

	mu    sync.Mutex // guards shown
	shown uint64     // the hash of the tables that the catalog shows
}

// typeNames is how PostgreSQL writes its types, by OID.
var typeNames = func() map[uint32]string {
	names := map[uint32]string{}
	for _, t := range pgTypes() {
		names[t.oid] = t.written
	}
	return names
}()

func newCatalog(ctx context.Context, e *engine.Engine, o Options) (*catalog, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("open the catalog: %w", err))
	}
	const most = 16
	db.SetMaxOpenConns(most + 2) // one fills the tables
	c := &catalog{engine: e, o: o, db: db, places: engine.NewPlaces(most), functions: map[string]bool{"generate_subscripts": true}, start: time.Now().UTC().Format("2006-01-02 15:04:05+00")}
	script := append([]string{"SET memory_limit='128MB'", "SET temp_directory=''", "SET threads=1", "SET TimeZone='UTC'", "SET autoinstall_known_extensions=false", "SET autoload_known_extensions=false",
		"SET enable_external_access=false", "CREATE SCHEMA info"}, c.relations()...)
	for _, st := range split(catalogText) {
		if st.begins("create", "macro") {
			c.functions[st.tokens[2].Name()] = true
		}
		script = append(script, st.text)
	}
	script = append(script, views...)
	script = append(script, c.fixedRows()...)
	script = append(script, "SET lock_configuration=true")
	conn, err := db.Conn(ctx)
	if err == nil {
		defer conn.Close()
		for _, text := range script {
			if _, err = conn.ExecContext(ctx, text); err != nil {
				err = fmt.Errorf("%.60s: %w", text, err)
				break
			}
		}
	}
	if err != nil {
		db.Close()
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("make the catalog: %w", err))
	}
	return c, nil
}

func sqlText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func sqlName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func (c *catalog) close() { _ = c.db.Close() }

// refresh makes the catalog show the tables that there are.
func (c *catalog) refresh(ctx context.Context) error {
	tables, err := c.engine.Tables(ctx)
	if err != nil {
		return err
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%+v", tables)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown == h.Sum64() {
		return nil
	}
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, text := range rowsOf(tables) {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fault.Wrap(fault.Bug, fmt.Errorf("fill the catalog: %.60s: %w", text, err))
		}
	}
	if err := tx.Commit(); err != nil {
		return fault.Wrap(fault.Bug, fmt.Errorf("fill the catalog: %w", err))
	}
	c.shown = h.Sum64()
	return nil
}

// rowsOf writes tables, and the catalog's own, as rows of pg_class and its kin.
func rowsOf(tables []engine.Table) []string {
	var namespaces, classes, attributes, descriptions []string
	taken := map[uint32]bool{}
	oid := func(name string) uint32 {
		h := fnv.New32a()
		h.Write([]byte(name))
		n := 16384 + h.Sum32()%(1<<30)
		for taken[n] {
			n++
		}
		taken[n] = true
		return n
	}
	namespace := func(name string, n uint32) {
		namespaces = append(namespaces, fmt.Sprintf("(%d, %s, 10)", n, sqlText(name)))
	}
	class := func(schema, n uint32, name, kind string, columns int) {
		classes = append(classes, fmt.Sprintf("(%d, %s, %d, 0, 0, 10, 2, 0, 0, 0, -1, 0, 0, false, false, 'p', %s, %d, 0, false, false, false, false, false, true, 'd', false, 0, ['=r/anabranch'])", n, sqlText(name), schema, sqlText(kind), columns))
	}
	attribute := func(rel uint32, i int, name string, t *pgType, nullable bool) {
		collation := 0
		if t.kind == kText {
			collation = 100
		}
		attributes = append(attributes, fmt.Sprintf("(%d, %s, %d, -1, %d, %d, 0, -1, %d, false, 'i', 'p', '', %v, false, false, '', '', false, true, 0, %d)", rel, sqlText(name), t.oid, t.size, i, t.mod, !nullable, collation))
	}
	describe := func(rel uint32, sub int, text string) {
		if text != "" {
			descriptions = append(descriptions, fmt.Sprintf("(%d, 1259, %d, %s)", rel, sub, sqlText(text)))
		}
	}
	namespace("pg_catalog", catalogSchema)
	namespace("information_schema", informationSchema)
	next := uint32(12000)
	for line := range strings.Lines(relationsText) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		name, in := strings.CutPrefix(f[0], "info.")
		schema, n, kind := uint32(catalogSchema), systemOIDs[name], "r"
		if in {
			schema, kind = informationSchema, "v"
		}
		if n == 0 {
			next++
			n = next
		}
		class(schema, n, name, kind, len(f)-1)
		for i, col := range f[1:] {
			colName, typ, _ := strings.Cut(col, ":")
			base, list := strings.CutSuffix(typ, "[]")
			t := catalogType(duckTypes[base] + map[bool]string{true: "[]"}[list])
			attribute(n, i+1, colName, t, true)
		}
	}
	schemas := map[string]uint32{}
	tables = slices.Clone(tables)
	slices.SortFunc(tables, func(a, b engine.Table) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
	})
	for _, t := range tables {
		if _, ok := schemas[t.Schema]; !ok {
			schemas[t.Schema] = oid(t.Schema)
			namespace(t.Schema, schemas[t.Schema])
		}
		n := oid(t.Schema + "\x00" + t.Name)
		class(schemas[t.Schema], n, t.Name, "r", len(t.Columns))
		describe(n, 0, t.Comment)
		for i, col := range t.Columns {
			attribute(n, i+1, col.Name, typeOf(col.Type), col.Nullable)
			describe(n, i+1, col.Comment)
		}
	}
	script := []string{"DELETE FROM pg_namespace", "DELETE FROM pg_class", "DELETE FROM pg_attribute", "DELETE FROM pg_description"}
	insert := func(into string, rows []string) {
		if len(rows) > 0 {
			script = append(script, "INSERT INTO "+into+" VALUES "+strings.Join(rows, ", "))
		}
	}
	insert("pg_namespace (oid, nspname, nspowner)", namespaces)
	insert("pg_class (oid, relname, relnamespace, reltype, reloftype, relowner, relam, relfilenode, reltablespace, relpages, reltuples, relallvisible, reltoastrelid, relhasindex, relisshared, relpersistence, relkind, relnatts, relchecks, relhasrules, relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, relreplident, relispartition, relrewrite, relacl)", classes)
	insert("pg_attribute (attrelid, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval, attalign, attstorage, attcompression, attnotnull, atthasdef, atthasmissing, attidentity, attgenerated, attisdropped, attislocal, attinhcount, attcollation)", attributes)
	insert("pg_description (objoid, classoid, objsubid, description)", descriptions)
	return script
}

// connFor returns a connection whose variables are those of the session, which the
// caller gives back.
func (c *catalog) connFor(ctx context.Context, ses *session) (conn *sql.Conn, give func(), err error) {
	if err := c.refresh(ctx); err != nil {
		return nil, nil, err
	}
	over, err := c.places.Take(ctx, ses.limitedAs())
	if err != nil {
		return nil, nil, err
	}
	if conn, err = c.db.Conn(ctx); err != nil {
		over()
		return nil, nil, fault.Wrap(fault.Transient, err)
	}
	give = func() {
		_ = conn.Close()
		over()
	}
	path := ses.path()
	quoted := make([]string, len(path))
	for i, p := range path {
		quoted[i] = sqlText(p)
	}
	set := make([]string, 0, len(defaults))
	for _, s := range ses.allSettings() {
		set = append(set, sqlText(strings.ToLower(s[0]))+": "+sqlText(s[1]))
	}
	variables := map[string]string{
		"db": sqlText(ses.database), "usr": sqlText(ses.user), "pid": strconv.FormatUint(uint64(ses.pid), 10), "path": "[" + strings.Join(quoted, ", ") + "]::VARCHAR[]",
		"version": sqlText("PostgreSQL " + ses.get("server_version") + ", answered by DuckDB"), "settings": "MAP {" + strings.Join(set, ", ") + "}", "types": c.types, "start": sqlText(c.start),
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if _, err := conn.ExecContext(ctx, "SET VARIABLE "+name+" = "+variables[name]); err != nil {
			give()
			return nil, nil, fault.Wrap(fault.Bug, fmt.Errorf("set %s of the catalog: %w", name, err))
		}
	}
	return conn, give, nil
}

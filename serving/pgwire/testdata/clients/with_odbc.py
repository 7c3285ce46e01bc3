"""psqlODBC, by pyodbc, against a door with the views of the test: with and without its own cursors, prepared by it and by the server."""
import datetime, decimal, sys, urllib.parse
import pyodbc

url = urllib.parse.urlparse(sys.argv[1])
base = f"DRIVER={{{sys.argv[2]}}};SERVER={url.hostname};PORT={url.port};DATABASE=anabranch;UID=ada;PWD=x;"
for mode in ("", "UseDeclareFetch=1;Fetch=7;", "UseServerSidePrepare=0;", "Protocol=7.4-1;"):
    c = pyodbc.connect(base + mode, autocommit="Declare" not in mode)
    k = c.cursor()
    assert {(t.table_schem, t.table_name) for t in k.tables()} == {("shops", "by_hour"), ("shops", "by_shop"), ("web", "visits")}
    assert [t.table_name for t in k.tables(schema="shops", table="by\\_s%")] == ["by_shop"]
    assert {t.table_schem for t in k.tables(catalog="", schema="%", table="")} == {"shops", "web"}
    assert [(x.column_name, x.type_name) for x in k.columns(schema="shops", table="by_shop")] == [
        ("shop", "text"), ("n", "int8"), ("units", "numeric"), ("price", "numeric"), ("low", "numeric"), ("last", "timestamp")]
    for none in (k.primaryKeys("by_shop", schema="shops"), k.foreignKeys("by_shop", schema="shops"), k.foreignKeys(foreignTable="by_shop", foreignSchema="shops"),
                 k.statistics("by_shop", schema="shops"), k.rowIdColumns("by_shop", schema="shops")):
        assert list(none) == []
    assert {p.procedure_schem for p in k.procedures()} == {"pg_catalog"}  # those that read and write types
    assert len(list(k.getTypeInfo())) > 10
    first = k.execute("SELECT shop, n, price, last FROM shops.by_shop WHERE shop IS NOT NULL ORDER BY shop").fetchone()
    assert tuple(first) == ("shop '0'", 77, decimal.Decimal("39293.75"), datetime.datetime(2011, 3, 13, 17, 2, 8)), first
    assert k.execute("SELECT n FROM shops.by_shop WHERE shop = ? AND n > ?", "shop '1'", 3).fetchall()[0][0] == 54
    assert k.execute("SELECT count(*) FROM shops.by_hour WHERE hour >= ?", datetime.datetime(2011, 3, 13, 9)).fetchval() == 66
    assert k.execute("SELECT count(*) > 3 FROM shops.by_shop WHERE price > ?", decimal.Decimal("3.50")).fetchval() in (True, "1")
    row = k.execute("SELECT 1::smallint, 1::int, 1::bigint, 1.50::decimal(10,2), 2.5::double, 'x', date '2020-02-29', timestamp '2020-02-29 01:02:03.456', 'ab'::BLOB, NULL").fetchone()
    assert tuple(row) == (1, 1, 1, decimal.Decimal("1.50"), 2.5, "x", datetime.date(2020, 2, 29), datetime.datetime(2020, 2, 29, 1, 2, 3, 456000), b"ab", None), row
    assert [r[0] for r in k.execute("SELECT i FROM range(1000) t(i)")] == list(range(1000))
    for bad in ("SELECT nothing FROM shops.by_shop", "DELETE FROM shops.by_shop"):
        try:
            k.execute(bad)
            sys.exit("answered: " + bad)
        except pyodbc.Error as e:
            assert e.args[0] in ("42703", "25006"), e
        if not c.autocommit:
            c.rollback()
        assert k.execute("SELECT 1").fetchval() == 1
    c.commit()
    c.close()
    print(mode or "as it is")
print("psqlODBC", pyodbc.connect(base).getinfo(pyodbc.SQL_DRIVER_VER), "pyodbc", pyodbc.version)

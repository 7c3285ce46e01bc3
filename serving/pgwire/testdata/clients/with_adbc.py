"""ADBC's PostgreSQL driver against a door with the views of the test."""
import datetime, decimal, sys
import adbc_driver_manager
import adbc_driver_postgresql, adbc_driver_postgresql.dbapi as adbc

url = sys.argv[1]

with adbc.connect(url, autocommit=True) as c:
    def objects(**more):
        """name of schema -> name of table -> its columns, with their types"""
        [catalog] = [x for x in c.adbc_get_objects(**more).read_all().to_pylist() if x["catalog_name"] == "anabranch"]
        return {s["db_schema_name"]: {t["table_name"]: [(k["column_name"], k["xdbc_type_name"]) for k in t["table_columns"] or []] for t in s["db_schema_tables"] or []}
                for s in catalog["catalog_db_schemas"] or []}

    got = objects()
    assert set(got) == {"shops", "web"} and set(got["shops"]) == {"by_shop", "by_hour"} and list(got["web"]) == ["visits"], got
    assert got["shops"]["by_shop"] == [("shop", "text"), ("n", "int8"), ("units", "numeric"), ("price", "numeric"), ("low", "numeric"), ("last", "timestamp")], got
    assert objects(depth="db_schemas") == {"shops": {}, "web": {}}
    assert objects(depth="tables", db_schema_filter="web") == {"web": {"visits": []}}
    assert objects(db_schema_filter="shops", table_name_filter=r"by\_hour", column_name_filter="s%") == {"shops": {"by_hour": [("shop", "text")]}}
    assert objects(table_types_filter=["view"]) == {"shops": {}, "web": {}}
    assert c.adbc_get_info()["vendor_version"].startswith("15"), c.adbc_get_info()
    schema = c.adbc_get_table_schema("by_shop", db_schema_filter="shops")
    assert schema.names == ["shop", "n", "units", "price", "low", "last"] and str(schema.field("n").type) == "int64", schema
    assert c.adbc_current_catalog == "anabranch" and c.adbc_current_db_schema == "shops", (c.adbc_current_catalog, c.adbc_current_db_schema)
    c.adbc_current_db_schema = "web"
    print("objects, table schemas")

    with c.cursor() as k:
        k.execute("SELECT shop, n, price, last FROM shops.by_shop WHERE n > $1 AND shop IS NOT NULL ORDER BY shop", (2,))
        t = k.fetch_arrow_table()
        assert t.num_rows > 2 and t.schema.names == ["shop", "n", "price", "last"] and isinstance(t["last"][0].as_py(), datetime.datetime), t
        assert t["shop"][0].as_py() == "shop '0'" and t["n"][0].as_py() == 77 and t["price"][0].as_py() in ("39293.75", decimal.Decimal("39293.75")), t.slice(0, 1)
        k.execute("SELECT count(*) AS n FROM visits")
        assert k.fetchone()[0] > 0
        k.execute("SELECT true, 1::smallint, 1::int, 2.5::double, 'x', 'ab'::blob, date '2020-02-29', time '10:11:12.5', timestamp '2020-02-29 01:02:03.456', "
                  "timestamptz '2020-02-29 01:02:03+00', interval '1 year 2 days 3 seconds', [1, 2, NULL], ['a', 'b,\"c'], {'a': 1}, NULL")
        row = k.fetchone()
        assert row[:7] == (True, 1, 1, 2.5, "x", b"ab", datetime.date(2020, 2, 29)) and row[11] == [1, 2, None] and row[12] == ["a", 'b,"c'], row
        k.execute("SELECT i FROM range(200000) t(i)")
        assert sum(b.num_rows for b in k.fetch_record_batch()) == 200000
        k.execute("SELECT * FROM web.visits WHERE false")
        assert k.fetch_arrow_table().num_rows == 0
        for bad in ("SELECT nothing FROM web.visits", "DELETE FROM web.visits"):
            try:
                k.execute(bad)
                k.fetchall()
                sys.exit("answered: " + bad)
            except adbc.Error:
                pass
        k.execute("SELECT 1 AS one")
        assert k.fetchall() == [(1,)]
    print("queries by binary COPY, parameters, types, errors")

with adbc.connect(url) as c:  # a transaction, as the DB-API has it
    with c.cursor() as k:
        k.execute("SELECT sum(n)::BIGINT FROM shops.by_shop")
        assert k.fetchone()[0] == 500
    c.commit()
    with c.cursor() as k:
        k.execute("SELECT 1")
        k.fetchall()
    c.rollback()
print("ADBC", adbc_driver_postgresql.__version__, "driver manager", adbc_driver_manager.__version__)

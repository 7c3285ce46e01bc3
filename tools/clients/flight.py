"""Asks a Flight SQL door as a notebook would: ADBC's driver, then Arrow's own
Flight client. Arguments: the address, host:port."""

import datetime
import decimal
import json
import sys
import threading
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flight_sql
import pyarrow as pa
import pyarrow.flight as flight

uri = "grpc://" + sys.argv[1]
HEADER = adbc_driver_flightsql.DatabaseOptions.RPC_CALL_HEADER_PREFIX.value


def connect(**headers):
    options = {HEADER + name.replace("_", "-"): value for name, value in headers.items()}
    return flight_sql.connect(uri, db_kwargs=options, autocommit=True)


with connect() as conn, conn.cursor() as cur:
    cur.execute("SELECT shop, n, price FROM shops.by_shop ORDER BY shop")
    table = cur.fetch_arrow_table()
    assert table.column("price").type == pa.decimal128(38, 2), table.schema
    assert table.to_pylist() == [
        {"shop": "a", "n": 1, "price": decimal.Decimal("2.50")},
        {"shop": "b", "n": 1, "price": decimal.Decimal("1.00")},
    ], table.to_pylist()

    cur.execute("SELECT n FROM shops.by_shop WHERE shop = $1 AND price < $2", ("a", decimal.Decimal("9.99")))
    assert cur.fetchall() == [(1,)]
    cur.execute("SELECT $1::DATE + 1, $2::DOUBLE, $3::VARCHAR", (datetime.date(2011, 3, 1), 0.5, None))
    assert cur.fetchone()[1:] == (0.5, None)

    cur.execute("SELECT [1, NULL] AS l, {'a': 1} AS s, MAP {'k': 2} AS m, INTERVAL '1 month' AS i, TIMESTAMPTZ '2011-03-01 00:00:00+00' AS t")
    row = cur.fetch_arrow_table().to_pylist()[0]
    assert row["l"] == [1, None] and row["s"] == {"a": 1} and row["m"] == [("k", 2)], row
    assert row["i"].months == 1 and row["t"].year == 2011, row

    objects = conn.adbc_get_objects().read_all().to_pylist()
    schemas = objects[0]["catalog_db_schemas"]
    assert [s["db_schema_name"] for s in schemas] == ["shops"], objects
    tables = schemas[0]["db_schema_tables"]
    assert [(t["table_name"], t["table_type"]) for t in tables] == [("by_shop", "VIEW")], tables
    assert [c["column_name"] for c in tables[0]["table_columns"]] == ["shop", "n", "units", "price"], tables
    assert conn.adbc_get_table_schema("by_shop", db_schema_filter="shops").names == ["shop", "n", "units", "price"]
    assert conn.adbc_get_info()["vendor_name"] == "anabranch", conn.adbc_get_info()
    assert conn.adbc_get_table_types() == ["TABLE", "VIEW"]

    try:
        cur.execute("SELECT * FROM shops.by_shp")
        raise SystemExit("an unknown view was answered")
    except flight_sql.Error as e:
        assert "by_shop" in str(e), e

    began = time.monotonic()
    cur.execute("SELECT i, i * 2 AS twice, 'shop ' || i % 100 AS shop FROM range(1000000) t(i)")
    rows = cur.fetch_arrow_table().num_rows
    print(f"ADBC read {rows} rows in {time.monotonic() - began:.3f} s")
    assert rows == 1000000

    threading.Timer(0.2, cur.adbc_cancel).start()
    began = time.monotonic()
    try:
        cur.execute("SELECT range FROM range(100000000000)")
        for _ in cur.fetch_record_batch():
            pass
        raise SystemExit("a query without end ended")
    except Exception as e:
        assert "ancel" in str(e), e
    assert time.monotonic() - began < 1.5

with connect(anabranch_consistency="latest", anabranch_timeout="100ms") as conn, conn.cursor() as cur:
    cur.execute("SELECT count(*) FROM shops.by_shop")
    assert cur.fetchone() == (2,)
    try:
        cur.execute("SELECT count(*) FROM range(100000) a, range(100000) b WHERE hash(a.range + b.range) % 7 = 3")
        cur.fetchone()
        raise SystemExit("a query took longer than it may")
    except flight_sql.Error as e:
        assert "100ms" in str(e), e

client = flight.connect(uri)
options = flight.FlightCallOptions(headers=[(b"anabranch-consistency", b"latest")])
# The command of a statement, as Flight SQL's protocol has it: field 1 is the
# type, field 2 the message, whose field 1 is the SQL.
query = b"SELECT shop FROM shops.by_shop ORDER BY shop"
kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
message = b"\x0a" + bytes([len(query)]) + query
command = b"\x0a" + bytes([len(kind)]) + kind + b"\x12" + bytes([len(message)]) + message
info = client.get_flight_info(flight.FlightDescriptor.for_command(command), options)
reader = client.do_get(info.endpoints[0].ticket, options)
receipt = json.loads(reader.schema.metadata[b"anabranch.receipt"])
assert receipt["pipelines"]["shops"]["at"] == [2], receipt
assert reader.read_all().column("shop").to_pylist() == ["a", "b"]
print("all answers are as they should be")

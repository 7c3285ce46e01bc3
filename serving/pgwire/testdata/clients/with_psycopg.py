"""psycopg 3 and psycopg2 against a door with the views of the test."""
import datetime, decimal, sys
import psycopg, psycopg2

url = sys.argv[1]

EVERY = """select true, 1::tinyint, 1::smallint, 1::int, 1::bigint, 170141183460469231731687303715884105727::hugeint, 1.50::decimal(10,2), -0.001::decimal(10,3),
12345678.9012::decimal(20,4), 1.5::float, 2.5::double, 'x', 'ab'::blob, date '2020-02-29', time '10:11:12.5', timestamp '2020-02-29 01:02:03.456',
timestamptz '2020-02-29 01:02:03+00', interval '1 year 2 days 3 seconds', '12345678-1234-5678-1234-567812345678'::uuid, [1,2,null], ['a','b,"c'],
{'a':1,'b':[date '2020-01-01']}, map{'k':2.5}, null, [1.5::decimal(4,2)], [timestamp '2020-01-01'], 'infinity'::double, [[1,2],[3]],
18446744073709551615::ubigint, '{"a":1}'::json, 0::decimal(5,2), -12345.6789::decimal(18,4), interval '-1 day -02:00:00'"""

rows = {}
for binary in (False, True):
    with psycopg.connect(url) as c, c.cursor(binary=binary) as k:
        k.execute("select shop, n, units, price, last from shops.by_shop where n > %s and shop is not null order by shop limit %s", (2, 3))
        got = k.fetchall()
        assert len(got) == 3 and got[0][:2] == ("shop '0'", 77) and got[0][3] == decimal.Decimal("39293.75"), got
        rows[binary] = k.execute(EVERY).fetchone()
for i, (text, binary) in enumerate(zip(rows[False], rows[True])):
    assert text == binary, f"column {i}: {text!r} as text, {binary!r} in binary"
assert rows[True][5] == 2**127 - 1 and rows[True][6] == decimal.Decimal("1.50") and rows[True][13] == datetime.date(2020, 2, 29), rows[True]
assert rows[True][20] == ["a", 'b,"c'] and rows[True][21] == {"a": 1, "b": ["2020-01-01"]} and rows[True][28] == 2**64 - 1, rows[True]
print("every type, text and binary")

with psycopg.connect(url) as c:
    with c.cursor("named") as k:
        k.itersize = 7
        assert [r[0] for r in k.execute("select i from range(25) t(i)")] == list(range(25))
    with c.transaction():
        try:
            with c.transaction():
                c.execute("select nothing from shops.by_shop")
        except psycopg.errors.UndefinedColumn:
            pass
        assert c.execute("select 1").fetchone() == (1,)
    assert c.execute("select %s, %s, %s", (1, "a", None)).fetchone() is not None
    assert c.execute("select count(*) from shops.by_shop where shop = any(%s)", (["shop '1'", "shop '2'"],)).fetchone() == (2,)
    assert c.execute("select count(*) from shops.by_shop where last > %s and price > %s", (datetime.datetime(2011, 1, 1), decimal.Decimal("10.5"))).fetchone()[0] > 0
    with c.cursor().copy("copy (select shop, n from shops.by_shop order by 1 limit 2) to stdout") as k:
        assert [r[1] for r in k.rows()] == ["77", "54"]
    with c.pipeline():
        assert [c.execute("select %s::int", (i,)).fetchone()[0] for i in range(5)] == list(range(5))
print("cursors, transactions, parameters, COPY, pipelines")

with psycopg.connect(url) as c:
    c.execute("set consistency = latest")
    c.execute("select * from shops.by_shop")
    receipt = c.execute("show receipt").fetchone()[0]
    c.execute("select set_config('consistency', %s, false)", ("at-least " + receipt,))
    assert "shops" in receipt and c.execute("show consistency").fetchone()[0].startswith("at-least")
print("consistency and receipt")

c = psycopg2.connect(url)
k = c.cursor("server_side")
k.execute("select i from range(5000) t(i)")
assert len(k.fetchall()) == 5000
k = c.cursor()
k.execute("select shop, price, last, [1,2] from shops.by_shop where n > %s order by 1 limit 1", (1,))
assert k.fetchone() == ("shop '0'", decimal.Decimal("39293.75"), datetime.datetime(2011, 3, 13, 17, 2, 8), [1, 2])
c.close()
print("psycopg2")

"""asyncpg, which speaks binary only."""
import asyncio, decimal, sys
import asyncpg


async def main():
    c = await asyncpg.connect(sys.argv[1])
    got = await c.fetch("select shop, n, price from shops.by_shop where n > $1 order by shop limit 2", 1)
    assert got[0]["price"] == decimal.Decimal("39293.75"), got
    async with c.transaction():
        assert [r["i"] async for r in c.cursor("select i from range(120) t(i)")] == list(range(120))
    row = await c.fetchrow("select [1,2] as a, ['a'] as b, {'a':1} as c, 1.5::decimal(3,1) as d, interval '1 day' as e")
    assert row["a"] == [1, 2] and row["b"] == ["a"] and row["d"] == decimal.Decimal("1.5"), row
    assert await c.fetchval("select count(*) from shops.by_shop where shop = any($1::varchar[])", ["shop '1'"]) == 1
    try:
        await c.fetch("select count(*) from range(100000000000) a, range(1000) b where a.range % 7 = b.range % 3", timeout=0.5)
        raise AssertionError("not cancelled")
    except asyncio.TimeoutError:
        pass
    assert await c.fetchval("select 1") == 1
    await c.close()


asyncio.run(main())
print("binary rows, cursors, arrays, cancel")

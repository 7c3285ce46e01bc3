"""SQLAlchemy's inspector, reflection and streaming, by psycopg and psycopg2."""
import sys
import sqlalchemy as sa

for driver in ("psycopg", "psycopg2"):
    e = sa.create_engine(sys.argv[1].replace("postgres://", f"postgresql+{driver}://"))
    i = sa.inspect(e)
    assert {"shops", "web"} <= set(i.get_schema_names()), i.get_schema_names()
    assert sorted(i.get_table_names("shops")) == ["by_hour", "by_shop"]
    assert [(c["name"], str(c["type"]), c["nullable"]) for c in i.get_columns("by_shop", schema="shops")][:4] == [
        ("shop", "TEXT", True), ("n", "BIGINT", False), ("units", "NUMERIC", True), ("price", "NUMERIC(38, 2)", True)]
    for ask in (i.get_pk_constraint, i.get_foreign_keys, i.get_indexes, i.get_unique_constraints, i.get_check_constraints, i.get_table_comment):
        ask("by_shop", schema="shops")
    assert i.has_table("by_shop", schema="shops") and not i.has_table("nothing", schema="shops")
    i.get_view_names("shops"), i.get_enums(), i.get_domains(), i.get_sequence_names("shops"), i.get_materialized_view_names("shops")
    m = sa.MetaData()
    m.reflect(e, schema="shops", views=True)
    t = m.tables["shops.by_shop"]
    with e.connect() as c:
        assert c.execute(sa.select(sa.func.sum(t.c.n)).where(t.c.n > 2)).scalar() == 500
    with e.connect().execution_options(stream_results=True, max_row_buffer=10) as c:
        assert len(c.execute(sa.text("select i from range(1000) t(i)")).fetchall()) == 1000
    e.dispose()
    print(driver, "inspector, reflection, streaming")

"""Reads answers of the HTTP door as notebooks do: sys.argv[1] is its URL."""

import io
import json
import sys
import urllib.request

import duckdb
import pandas
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

base = sys.argv[1]


def ask(sql, accept):
    body = json.dumps({"sql": sql, "consistency": "latest"}).encode()
    request = urllib.request.Request(base + "/v1/query", body, {"Content-Type": "application/json", "Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.read(), answer.headers["Anabranch-Receipt"]


SQL = "SELECT day, country, lines, net_milli, CAST(net_milli AS DECIMAL(18, 3)) / 1000 AS net, day::TIMESTAMP AS at, NULL AS nothing FROM retail.country_day ORDER BY ALL"

stream, receipt = ask(SQL, "application/vnd.apache.arrow.stream")
arrow = pyarrow.ipc.open_stream(stream).read_all()
assert json.loads(arrow.schema.metadata[b"anabranch.receipt"])["pipelines"] == json.loads(receipt)["pipelines"]
file, _ = ask(SQL, "application/vnd.apache.parquet")
parquet = pyarrow.parquet.read_table(io.BytesIO(file))
assert arrow.num_rows == parquet.num_rows > 5, (arrow.num_rows, parquet.num_rows)
for name in ("day", "country", "lines", "net_milli", "at"):
    assert arrow[name].to_pylist() == parquet[name].to_pylist(), name
print("pyarrow", pyarrow.__version__, "read", arrow.num_rows, "rows as a stream and as Parquet:", arrow.schema.types)

frame = pandas.read_parquet(io.BytesIO(file))
text, _ = ask(SQL, "text/csv")
csv = pandas.read_csv(io.BytesIO(text), parse_dates=["day", "at"])
lines, _ = ask(SQL, "application/x-ndjson")
ndjson = pandas.read_json(io.BytesIO(lines), lines=True)
total = sum(arrow["net_milli"].to_pylist())
assert total == frame["net_milli"].sum() == csv["net_milli"].sum() == ndjson["net_milli"].sum()
assert list(frame["country"]) == list(csv["country"]) == list(ndjson["country"])
print("pandas", pandas.__version__, "read Parquet, CSV and NDJSON, total", total)

got = duckdb.sql("SELECT sum(net_milli), count(*) FROM arrow").fetchall()[0]
assert got == (total, arrow.num_rows), got
print("DuckDB", duckdb.__version__, "read the Arrow table")
url = base + "/v1/views/retail.country_day?key.country=France"
request = urllib.request.Request(url, headers={"Accept": "text/csv"})
with urllib.request.urlopen(request) as answer:
    france = pandas.read_csv(answer)
assert len(france) > 0 and set(france["country"]) == {"France"}
try:
    print("DuckDB's httpfs read a view by its URL:", duckdb.sql(f"SELECT count(*) FROM read_json('{url}')").fetchall())
except duckdb.Error as error:
    print("NOT RUN: DuckDB's httpfs:", str(error).splitlines()[0][:200])

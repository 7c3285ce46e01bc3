"""Apache Superset, the real application, at the PostgreSQL door: its REST interface,
in one process and over a database of its own in a folder that is thrown away.

    python with_superset.py postgres://ada@127.0.0.1:5432/anabranch
"""
import json, logging, os, sys, tempfile

uri = sys.argv[1].replace("postgres://", "postgresql+psycopg2://")
home = tempfile.TemporaryDirectory()
config = os.path.join(home.name, "superset_config.py")
with open(config, "w") as f:
    f.write(f"""
SECRET_KEY = "of a test, whose folder is thrown away"
SQLALCHEMY_DATABASE_URI = "sqlite:///{home.name}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
""")
os.environ["SUPERSET_CONFIG_PATH"] = config
os.environ["SUPERSET_HOME"] = home.name
logging.disable(logging.WARNING)

from superset.app import create_app

app = create_app()
failed = 0


def check(name, right, seen):
    global failed
    failed += not right
    print("OK  " if right else "FAIL", name, "->", str(seen)[:300])


with app.app_context():
    import flask_migrate
    from superset import security_manager
    import superset

    flask_migrate.upgrade(os.path.join(os.path.dirname(superset.__file__), "migrations"))
    app.appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    security_manager.add_user("ada", "Ada", "L", "ada@example.org", security_manager.find_role("Admin"), password="lovelace")

client = app.test_client()

def ask(method, path, body=None, headers={}):
    r = client.open(path, method=method, json=body, headers=headers)
    try:
        return r.status_code, r.get_json()
    except Exception:
        return r.status_code, r.get_data(as_text=True)

_, token = ask("POST", "/api/v1/security/login", {"username": "ada", "password": "lovelace", "provider": "db", "refresh": False})
auth = {"Authorization": "Bearer " + token["access_token"]}

def api(method, path, body=None):
    return ask(method, "/api/v1" + path, body, auth)

status, said = api("POST", "/database/test_connection/", {"sqlalchemy_uri": uri, "database_name": "anabranch"})
check("test connection", status == 200, (status, said))
status, said = api("POST", "/database/", {"sqlalchemy_uri": uri, "database_name": "anabranch", "expose_in_sqllab": True})
check("database", status == 201, said)
db = said.get("id", 1)
status, said = api("GET", f"/database/{db}/schemas/?q=(force:!t)")
check("schemas", status == 200 and {"shops", "web"} <= set(said["result"]), said)
status, said = api("GET", f"/database/{db}/tables/?q=(schema_name:shops,force:!t)")
check("tables", status == 200 and {"by_shop", "by_hour"} <= {t["value"] for t in said["result"]}, said)
status, said = api("GET", f"/database/{db}/table_metadata/?name=by_hour&schema=shops")
check("columns", status == 200 and [c["name"] for c in said["columns"]][:2] == ["hour", "shop"], said)
status, said = api("GET", f"/database/{db}/select_star/by_hour/shops/")
check("select star", status == 200, said)
status, said = api("GET", f"/database/{db}/function_names/")
check("functions", status == 200, len(said.get("function_names", [])))
status, said = api("POST", f"/database/{db}/validate_sql/", {"sql": "SELECT 1", "schema": "shops"})
check("validate", status in (200, 422), said)  # 422: no validator is configured

status, said = api("POST", "/dataset/", {"database": db, "schema": "shops", "table_name": "by_hour"})
check("dataset", status == 201, said)
dataset = said.get("id", 1)
status, said = api("GET", f"/dataset/{dataset}")
times = [c["column_name"] for c in said["result"]["columns"] if c["is_dttm"]] if status == 200 else said
check("times of the dataset", times == ["hour"], times)

def chart(name, query, right):
    status, said = api("POST", "/chart/data", {
        "datasource": {"id": dataset, "type": "table"}, "force": True, "queries": [query], "result_format": "json", "result_type": "full"})
    result = said.get("result", [{}])[0] if isinstance(said, dict) else {}
    data = result.get("data") or []
    check(name, status == 200 and not result.get("error") and right(data), [len(data)] + data[:4] if data else said)

number = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "n"}
mean = {"expressionType": "SIMPLE", "column": {"column_name": "mean"}, "aggregate": "MAX", "label": "mean"}
for grain in ["PT1S", "PT5M", "PT1H", "P1D", "P1W", "P1M", "P3M", "P1Y"]:
    chart("chart by " + grain, {
        "columns": [{"columnType": "BASE_AXIS", "sqlExpression": "hour", "label": "hour", "expressionType": "SQL", "timeGrain": grain}],
        "metrics": [number, mean], "granularity": "hour", "extras": {"time_grain_sqla": grain}, "row_limit": 1000,
        "filters": [{"col": "hour", "op": "TEMPORAL_RANGE", "val": "2000-01-01 : 2100-01-01"}], "orderby": [[number, False]]}, lambda rows: len(rows) > 0)
chart("chart by column, filtered", {
    "columns": ["shop"], "metrics": [number], "row_limit": 10, "filters": [{"col": "shop", "op": "LIKE", "val": "shop%"}, {"col": "mean", "op": ">", "val": -1000}],
    "extras": {"having": "COUNT(*) > 1"}}, lambda rows: 0 < len(rows) <= 10)
chart("chart without columns", {"metrics": [number], "row_limit": 10}, lambda rows: len(rows) == 1)
chart("samples", {"columns": ["hour", "shop", "mean"], "row_limit": 7, "row_offset": 2}, lambda rows: len(rows) == 7)
# Superset joins the series by equality: a group without a name is none of them.
chart("chart of the first series", {
    "filters": [{"col": "shop", "op": "IS NOT NULL"}], "columns": ["shop"], "metrics": [number], "series_columns": ["shop"], "series_limit": 3, "series_limit_metric": number, "row_limit": 100,
    "is_timeseries": True, "granularity": "hour", "extras": {"time_grain_sqla": "P1D"}}, lambda rows: len(rows) == 3)
status, said = api("GET", f"/datasource/table/{dataset}/column/shop/values/")
check("values of a filter", status == 200 and len(said["result"]) > 2, said)

def lab(name, sql, right, **more):
    status, said = api("POST", "/sqllab/execute/", {"database_id": db, "schema": "shops", "sql": sql, "runAsync": False, "client_id": name[:11], **more})
    check("SQL Lab: " + name, right(status, said), said.get("data", said) if isinstance(said, dict) else said)

lab("limit", "SELECT shop, n FROM by_shop ORDER BY n DESC", lambda s, a: s == 200 and len(a["data"]) == 3, queryLimit=3)
lab("cte", "WITH x AS (SELECT shop, sum(n) AS n FROM shops.by_shop GROUP BY 1) SELECT * FROM x ORDER BY 1", lambda s, a: s == 200 and len(a["data"]) > 3, queryLimit=1000)
lab("join", "SELECT a.shop, b.mean FROM by_shop a JOIN by_hour b USING (shop)", lambda s, a: s == 200 and len(a["data"]) > 5, queryLimit=1000)
lab("several", "SELECT 1 AS a; SELECT 2 AS b", lambda s, a: s == 200 and a["data"] == [{"b": 2}], queryLimit=1000)
lab("types", "SELECT price, last, n, low, true AS t, NULL AS x, ARRAY[1, 2] AS l FROM by_shop", lambda s, a: s == 200 and len(a["data"]) > 2, queryLimit=1000)
lab("mistake", "SELECT nothing FROM by_shop", lambda s, a: s != 200 and "nothing" in json.dumps(a), queryLimit=1000)
lab("as table", "SELECT 1 AS a", lambda s, a: s != 200, queryLimit=1000, select_as_cta=True, tmp_table_name="x", ctas_method="TABLE")
lab("estimate", "EXPLAIN SELECT * FROM by_shop", lambda s, a: s == 200, queryLimit=1000)

from importlib.metadata import version
print("apache-superset", version("apache-superset"), "SQLAlchemy", version("SQLAlchemy"), "psycopg2", version("psycopg2-binary"))
sys.exit(failed > 0)

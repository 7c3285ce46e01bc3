#!/bin/sh
# psql's commands, each of which must be answered.
url=$1
bad=0
for c in '\d' '\dt' '\dt+' '\d+ shops.by_shop' '\d by_hour' '\d web.visits' '\dn' '\dn+' '\l' '\l+' '\df' '\du' '\dv' '\di' '\dT' '\dp' '\db' '\dx' '\dD' '\dL' '\dy' '\ds' '\dm' '\ddp' '\drds' '\dO' '\dA' '\dc' '\dC' '\do' '\dX' \
	'\det' '\dew' '\dRp' '\dRs' '\dF' '\dd' '\dP' '\dP+' '\dconfig+' '\dAo' '\dAp' '\sf version' '\dtvs *.*' '\d pg_class' '\conninfo' '\encoding' 'SHOW receipt' 'SHOW ALL' 'SHOW TABLES' 'DESCRIBE shops.by_shop' \
	"\\copy (SELECT shop, n FROM shops.by_shop) TO '/dev/null' CSV HEADER" 'SELECT 1; SELECT 2' 'BEGIN; DECLARE c CURSOR FOR SELECT i FROM range(10) t(i); FETCH 3 FROM c; COMMIT'; do
	out=$(psql -X -v ON_ERROR_STOP=1 "$url" -c "$c" 2>&1) || { echo "FAIL $c: $out"; bad=1; }
done
[ "$(psql -X -At "$url" -c '\dt' | wc -l)" = 3 ] || { echo 'FAIL \dt lists other than three views'; bad=1; }
[ "$(psql -X -At -v FETCH_COUNT=7 "$url" -c 'SELECT i FROM range(100) t(i)' | wc -l)" = 100 ] || { echo 'FAIL FETCH_COUNT'; bad=1; }
dump=$(mktemp)
rm -rf "$dump.d"
pg_dump --no-owner "$url" -Fd -j 3 -f "$dump.d" && [ "$(pg_restore -l "$dump.d" | grep -c 'TABLE DATA shops')" -gt 1 ] || { echo 'FAIL pg_dump -j'; bad=1; }
rm -rf "$dump.d"
pg_dump --no-owner "$url" -t shops.by_shop >"$dump" || { echo 'FAIL pg_dump'; bad=1; }
[ "$(sed -n '/^COPY shops.by_shop/,/^\\\./p' "$dump" | sed '1d;$d' | sort)" = "$(psql -X "$url" -c 'COPY (SELECT * FROM shops.by_shop) TO STDOUT' | sort)" ] || { echo 'FAIL pg_dump has other rows than the view'; bad=1; }
rm -f "$dump"
[ $bad = 0 ] && echo "every command is answered"
exit $bad

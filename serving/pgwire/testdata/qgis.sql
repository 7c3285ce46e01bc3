-- QGIS 3.22: the browser, and a layer of a query with a number for each row. Its
-- cursors are binary ones, which TestBinaryCursor has.
BEGIN; DECLARE oidcursor CURSOR FOR select regclass('pg_class')::oid; fetch forward 1 from oidcursor; CLOSE oidcursor; COMMIT;
SELECT regclass('pg_class')::oid AS oidselect;
select regclass('pg_class')::oid;
SELECT nspname, pg_get_userbyid(nspowner), pg_catalog.obj_description(oid) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname != 'information_schema' ORDER BY nspname;
SELECT c.relname,n.nspname,a.attname,c.relkind,CASE WHEN t.typname IN ('geometry','geography') THEN t.typname ELSE b.typname END AS coltype,obj_description(c.oid) FROM pg_attribute a JOIN pg_class c ON c.oid=a.attrelid JOIN pg_namespace n ON n.oid=c.relnamespace JOIN pg_type t ON t.oid=a.atttypid LEFT JOIN pg_type b ON b.oid=t.typbasetype WHERE c.relkind IN ('v','r','m','p','f') AND has_schema_privilege( n.nspname, 'usage' ) AND has_table_privilege( c.oid, 'select' ) AND (t.typname IN ('geometry','geography') OR b.typname IN ('geometry','geography')) AND n.nspname='shops';
SELECT pg_class.relname,pg_namespace.nspname,pg_class.relkind,obj_description(pg_class.oid),array_agg(a.attname ORDER BY a.attnum) FROM  pg_class,pg_namespace,pg_attribute a WHERE pg_namespace.oid=pg_class.relnamespace AND has_schema_privilege(pg_namespace.nspname,'usage') AND has_table_privilege(pg_class.oid,'select') AND pg_class.relkind IN ('v','r','m','p','f') AND pg_class.oid = a.attrelid AND NOT a.attisdropped AND a.attnum > 0 AND pg_namespace.nspname='shops' GROUP BY 1,2,3,4;
WITH pkrelid AS (
              SELECT indexrelid AS idxri FROM pg_index WHERE indrelid='"shops"."by_hour"'::regclass AND (indisprimary OR indisunique)
                ORDER BY CASE WHEN indisprimary THEN 1 ELSE 2 END LIMIT 1)
              SELECT attname FROM pg_index,pg_attribute, pkrelid
              WHERE indexrelid=pkrelid.idxri AND indrelid=attrelid AND pg_attribute.attnum=any(pg_index.indkey);
WITH pkrelid AS (
              SELECT indexrelid AS idxri FROM pg_index WHERE indrelid='"shops"."by_shop"'::regclass AND (indisprimary OR indisunique)
                ORDER BY CASE WHEN indisprimary THEN 1 ELSE 2 END LIMIT 1)
              SELECT attname FROM pg_index,pg_attribute, pkrelid
              WHERE indexrelid=pkrelid.idxri AND indrelid=attrelid AND pg_attribute.attnum=any(pg_index.indkey);
SELECT oid, typname FROM pg_type WHERE oid IN (25,701);
SELECT * FROM "shops"."by_hour" LIMIT 1;
SELECT pg_is_in_recovery();
SELECT has_table_privilege('"shops"."by_hour"','DELETE'),has_any_column_privilege('"shops"."by_hour"','UPDATE'),'f',has_table_privilege('"shops"."by_hour"','INSERT'),current_schema();
SELECT 1 FROM pg_class,pg_namespace WHERE pg_class.relnamespace=pg_namespace.oid AND pg_has_role(relowner,'MEMBER') AND relname='by_hour' AND nspname='shops';
SELECT description FROM pg_description WHERE objoid=regclass('"shops"."by_hour"')::oid AND objsubid=0;
SELECT * FROM "shops"."by_hour" LIMIT 0;
SELECT oid,typname,typtype,typelem,typlen FROM pg_type WHERE oid in (25,1114,701);
SELECT EXISTS ( SELECT oid FROM pg_catalog.pg_class WHERE relname='qgis_editor_widget_styles');
SELECT count(*) FROM pg_inherits WHERE inhparent='"shops"."by_hour"'::regclass;
SELECT indexrelid FROM pg_index WHERE indrelid='"shops"."by_hour"'::regclass AND (indisprimary OR indisunique) ORDER BY CASE WHEN indisprimary THEN 1 ELSE 2 END LIMIT 1;
SELECT relkind FROM pg_class WHERE oid=regclass('"shops"."by_hour"')::oid;
SELECT * FROM "shops"."by_shop" LIMIT 1;
SELECT has_table_privilege('"shops"."by_shop"','DELETE'),has_any_column_privilege('"shops"."by_shop"','UPDATE'),'f',has_table_privilege('"shops"."by_shop"','INSERT'),current_schema();
SELECT 1 FROM pg_class,pg_namespace WHERE pg_class.relnamespace=pg_namespace.oid AND pg_has_role(relowner,'MEMBER') AND relname='by_shop' AND nspname='shops';
SELECT description FROM pg_description WHERE objoid=regclass('"shops"."by_shop"')::oid AND objsubid=0;
SELECT * FROM "shops"."by_shop" LIMIT 0;
SELECT oid,typname,typtype,typelem,typlen FROM pg_type WHERE oid in (25,1114,20,1700);
SELECT count(*) FROM pg_inherits WHERE inhparent='"shops"."by_shop"'::regclass;
SELECT indexrelid FROM pg_index WHERE indrelid='"shops"."by_shop"'::regclass AND (indisprimary OR indisunique) ORDER BY CASE WHEN indisprimary THEN 1 ELSE 2 END LIMIT 1;
SELECT relkind FROM pg_class WHERE oid=regclass('"shops"."by_shop"')::oid;
SELECT oid,typname,typtype,typelem,typlen FROM pg_type WHERE oid in (25,20,701);
SELECT EXISTS ( SELECT oid FROM pg_catalog.pg_class WHERE relname='layer_styles');
SELECT count(distinct ("id"))=count(("id")) FROM (select row_number() over (order by shop) as id, shop, n from shops.by_shop) AS "subQuery_0";
set client_min_messages to error;
BEGIN READ ONLY;
DECLARE qgis_1 CURSOR FOR SELECT "id","shop"::text,"n" FROM (select row_number() over (order by shop) as id, shop, n from shops.by_shop) AS "subQuery_0" WHERE (("n" > 50)) AND ("n" > 55);
FETCH FORWARD 2000 FROM qgis_1;
CLOSE qgis_1;
COMMIT;
SELECT "shop"::text FROM (SELECT DISTINCT "shop" FROM (select row_number() over (order by shop) as id, shop, n from shops.by_shop) AS "subQuery_0" ORDER BY "shop") foo;

import java.sql.*;import java.util.*;
// pgjdbc's metadata, types, fetch size, timeout and errors.
public class Jdbc {
  static int failed;
  static void rows(String name, ResultSet r) throws Exception { ResultSetMetaData m=r.getMetaData(); StringBuilder b=new StringBuilder(); int n=0; while(r.next()){ n++; if(n<=3){ b.append("["); for(int i=1;i<=Math.min(m.getColumnCount(),8);i++) b.append(r.getString(i)).append("|"); b.append("]"); } } System.out.println("OK   "+name+" -> "+n+" "+b); r.close(); }
  interface F { void run() throws Exception; }
  static void c(String name, F f){ try { f.run(); } catch(Throwable e){ failed++; System.out.println("FAIL "+name+" -> "+e.toString().replace("\n"," ")); } }
  public static void main(String[] a) throws Exception {
    Connection k=DriverManager.getConnection(a[0]); DatabaseMetaData d=k.getMetaData();
    System.out.println(d.getDatabaseProductName()+" "+d.getDatabaseProductVersion()+" driver "+d.getDriverVersion()+" catalog "+k.getCatalog()+" schema "+k.getSchema()+" ro "+k.isReadOnly());
    c("getTables",()->rows("getTables",d.getTables(null,null,"%",new String[]{"TABLE","VIEW"})));
    c("getTables all",()->rows("getTables all",d.getTables(null,"shops","%",null)));
    c("getColumns",()->rows("getColumns",d.getColumns(null,"shops","by_shop","%")));
    c("getSchemas",()->rows("getSchemas",d.getSchemas())); c("getCatalogs",()->rows("getCatalogs",d.getCatalogs()));
    c("getTableTypes",()->rows("getTableTypes",d.getTableTypes()));
    c("getPrimaryKeys",()->rows("getPrimaryKeys",d.getPrimaryKeys(null,"shops","by_shop")));
    c("getIndexInfo",()->rows("getIndexInfo",d.getIndexInfo(null,"shops","by_shop",false,false)));
    c("getImportedKeys",()->rows("getImportedKeys",d.getImportedKeys(null,"shops","by_shop")));
    c("getExportedKeys",()->rows("getExportedKeys",d.getExportedKeys(null,"shops","by_shop")));
    c("getTypeInfo",()->rows("getTypeInfo",d.getTypeInfo())); c("getProcedures",()->rows("getProcedures",d.getProcedures(null,null,"%")));
    c("getFunctions",()->rows("getFunctions",d.getFunctions(null,null,"%"))); c("getUDTs",()->rows("getUDTs",d.getUDTs(null,null,"%",null)));
    c("getBestRowIdentifier",()->rows("getBestRowIdentifier",d.getBestRowIdentifier(null,"shops","by_shop",1,true)));
    c("getVersionColumns",()->rows("getVersionColumns",d.getVersionColumns(null,"shops","by_shop")));
    c("getTablePrivileges",()->rows("getTablePrivileges",d.getTablePrivileges(null,"shops","by_shop")));
    c("getColumnPrivileges",()->rows("getColumnPrivileges",d.getColumnPrivileges(null,"shops","by_shop","%")));
    c("getClientInfoProperties",()->rows("getClientInfoProperties",d.getClientInfoProperties()));
    c("getMaxColumnNameLength",()->System.out.println("OK   max "+d.getMaxColumnNameLength()+" "+d.getSQLKeywords().length()));
    c("prepared",()->{ PreparedStatement p=k.prepareStatement("select shop,n,units,price,last from shops.by_shop where n > ? and shop like ? and last > ? order by 1"); for(int i=0;i<8;i++){ p.setLong(1,2); p.setString(2,"shop%"); p.setTimestamp(3,Timestamp.valueOf("2011-01-01 00:00:00")); ResultSet r=p.executeQuery(); if(i==7){ ResultSetMetaData m=r.getMetaData(); System.out.println(m.getColumnTypeName(1)+" "+m.getColumnTypeName(4)+" "+m.getPrecision(4)+" "+m.getScale(4)+" table '"+m.getTableName(1)+"'"); rows("prepared",r);} else r.close(); } });
    c("types",()->{ PreparedStatement p=k.prepareStatement("select true, 1::smallint, 1::int, 1::bigint, 12.50::decimal(6,2), 1.5::float, 2.5::double, 'x', 'ab'::blob, date '2020-02-29', time '10:11:12', timestamp '2020-02-29 01:02:03', timestamptz '2020-02-29 01:02:03+00', uuid(), [1,2], interval '1 day', {'a':1}, -0.00001234::decimal(20,8), 123456789012345678901234567890::hugeint"); for(int i=0;i<8;i++){ ResultSet r=p.executeQuery(); r.next(); StringBuilder b=new StringBuilder(); for(int j=1;j<=19;j++) b.append(r.getObject(j)).append("|"); if(i==0||i==7) System.out.println("OK   types "+b); r.close(); } });
    c("fetch size",()->{ k.setAutoCommit(false); Statement s=k.createStatement(); s.setFetchSize(100); ResultSet r=s.executeQuery("select i from range(1050) t(i)"); int n=0; while(r.next()) n++; r.close(); k.commit(); k.setAutoCommit(true); System.out.println("OK   fetch size -> "+n); });
    c("timeout",()->{ Statement s=k.createStatement(); s.setQueryTimeout(1); long t=System.currentTimeMillis(); try { s.executeQuery("SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range % 3"); throw new Exception("no timeout"); } catch(SQLException e){ System.out.println("OK   timeout -> "+e.getSQLState()+" after "+(System.currentTimeMillis()-t)+" ms"); } });
    c("readonly",()->{ k.setReadOnly(true); k.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ); k.setAutoCommit(false); rows("readonly",k.createStatement().executeQuery("select count(*) from shops.by_shop")); k.commit(); k.setAutoCommit(true); System.out.println("OK   isolation "+k.getTransactionIsolation()); });
    c("isValid",()->System.out.println("OK   isValid "+k.isValid(2))); c("setSchema",()->{ k.setSchema("shops"); rows("setSchema",k.createStatement().executeQuery("select count(*) from by_hour")); System.out.println(k.getSchema()); });
    c("multi",()->{ Statement s=k.createStatement(); boolean b=s.execute("select 1; select 2"); s.getMoreResults(); rows("multi",s.getResultSet()); });
    c("error",()->{ try { k.createStatement().executeQuery("select * from shops.by_sho"); } catch(SQLException e){ System.out.println("OK   error "+e.getSQLState()+" "+e.getMessage().replace("\n"," ")); } });
    c("param meta",()->{ ParameterMetaData m=k.prepareStatement("select * from shops.by_shop where n > ? and shop = ?").getParameterMetaData(); System.out.println("OK   params "+m.getParameterTypeName(1)+" "+m.getParameterTypeName(2)); });
    c("array",()->{ PreparedStatement p=k.prepareStatement("select count(*) from shops.by_shop where shop = any(?)"); p.setArray(1,k.createArrayOf("text",new Object[]{"shop '1'","shop '2'"})); rows("array",p.executeQuery()); });
    k.close();
    System.exit(failed==0?0:1);
  }
}

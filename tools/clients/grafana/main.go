// Grafana's libraries for data sources at the PostgreSQL door: what makes
// requests of panels into SQL, and rows into frames and time series, with each of
// the two drivers that Grafana's own PostgreSQL data source has had. That data
// source itself is part of Grafana, and its macros are said again here.
//
//	go run . postgres://ada@127.0.0.1:5432/anabranch
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/gtime"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/data/sqlutil"
	"github.com/grafana/sqlds/v2"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

// source is a data source for PostgreSQL.
type source struct{ driver, url string }

func (s source) Connect(backend.DataSourceInstanceSettings, json.RawMessage) (*sql.DB, error) {
	return sql.Open(s.driver, s.url)
}

func (s source) Settings(backend.DataSourceInstanceSettings) sqlds.DriverSettings {
	return sqlds.DriverSettings{Timeout: time.Minute, FillMode: &data.FillMissing{Mode: data.FillModeNull}}
}

// Macros write what those of Grafana's PostgreSQL data source do.
func (s source) Macros() sqlds.Macros {
	at := func(t time.Time) string { return "'" + t.UTC().Format(time.RFC3339Nano) + "'" }
	group := func(q *sqlds.Query, args []string) (string, error) {
		every, err := gtime.ParseInterval(strings.Trim(args[1], " '"))
		return fmt.Sprintf("floor(extract(epoch from %s)/%v)*%[2]v", args[0], every.Seconds()), err
	}
	return sqlds.Macros{
		"timeFilter": func(q *sqlds.Query, args []string) (string, error) {
			return fmt.Sprintf("%s BETWEEN %s AND %s", args[0], at(q.TimeRange.From), at(q.TimeRange.To)), nil
		},
		"timeFrom":  func(q *sqlds.Query, _ []string) (string, error) { return at(q.TimeRange.From), nil },
		"timeTo":    func(q *sqlds.Query, _ []string) (string, error) { return at(q.TimeRange.To), nil },
		"timeGroup": group,
		"timeGroupAlias": func(q *sqlds.Query, args []string) (string, error) {
			text, err := group(q, args)
			return text + ` AS "time"`, err
		},
		"unixEpochFilter": func(q *sqlds.Query, args []string) (string, error) {
			return fmt.Sprintf("%s >= %d AND %[1]s <= %[3]d", args[0], q.TimeRange.From.Unix(), q.TimeRange.To.Unix()), nil
		},
		"unixEpochGroup": func(q *sqlds.Query, args []string) (string, error) {
			every, err := gtime.ParseInterval(strings.Trim(args[1], " '"))
			return fmt.Sprintf("floor((%s)/%v)*%[2]v", args[0], every.Seconds()), err
		},
		"interval": func(q *sqlds.Query, _ []string) (string, error) { return gtime.FormatInterval(q.Interval), nil },
		"interval_ms": func(q *sqlds.Query, _ []string) (string, error) {
			return strconv.FormatInt(q.Interval.Milliseconds(), 10), nil
		},
	}
}

// MutateQuery writes the interval first, which is an argument of other macros.
func (s source) MutateQuery(ctx context.Context, q backend.DataQuery) (context.Context, backend.DataQuery) {
	q.JSON = []byte(strings.NewReplacer("$__interval_ms", strconv.FormatInt(q.Interval.Milliseconds(), 10), "$__interval", gtime.FormatInterval(q.Interval)).Replace(string(q.JSON)))
	return ctx, q
}

// Converters make numbers of numerics, as that data source does.
func (s source) Converters() []sqlutil.Converter {
	return []sqlutil.Converter{{Name: "numeric", InputTypeName: "NUMERIC", InputScanType: reflect.TypeFor[sql.NullString](), FrameConverter: sqlutil.FrameConverter{
		FieldType: data.FieldTypeNullableFloat64,
		ConverterFunc: func(in any) (any, error) {
			text := in.(*sql.NullString)
			if !text.Valid {
				return (*float64)(nil), nil
			}
			x, err := strconv.ParseFloat(text.String, 64)
			return &x, err
		},
	}}}
}

var failed bool

func check(name string, right bool, seen any) {
	word := "OK  "
	if !right {
		failed, word = true, "FAIL"
	}
	text := strings.Join(strings.Fields(fmt.Sprint(seen)), " ")
	fmt.Println(word, name, "->", text[:min(len(text), 300)])
}

// panel asks as a panel of a dashboard does that shows the day of the test's events,
// in steps of an hour.
type panel struct {
	*sqlds.SQLDatasource
	backend.PluginContext
}

func (p panel) request(format sqlds.FormatQueryOption, queries ...string) map[string]backend.DataResponse {
	day := time.Date(2011, 3, 13, 0, 0, 0, 0, time.UTC)
	req := &backend.QueryDataRequest{PluginContext: p.PluginContext}
	for i, q := range queries {
		body, err := json.Marshal(map[string]any{"rawSql": q, "format": format})
		if err != nil {
			panic(err)
		}
		req.Queries = append(req.Queries, backend.DataQuery{
			RefID: strconv.Itoa(i), JSON: body, Interval: time.Hour, MaxDataPoints: 1000, TimeRange: backend.TimeRange{From: day, To: day.AddDate(0, 0, 1)},
		})
	}
	all, err := p.QueryData(context.Background(), req)
	if err != nil {
		panic(err)
	}
	return all.Responses
}

func (p panel) ask(format sqlds.FormatQueryOption, query string) (*data.Frame, error) {
	r := p.request(format, query)["0"]
	if r.Error != nil || len(r.Frames) != 1 {
		return data.NewFrame(""), fmt.Errorf("%d frames: %w", len(r.Frames), r.Error)
	}
	return r.Frames[0], nil
}

// seen shows the fields of a frame: names, labels, types and first values.
func seen(f *data.Frame, err error) string {
	if err != nil {
		return err.Error()
	}
	out := fmt.Sprintf("%d rows:", f.Rows())
	for _, x := range f.Fields {
		out += fmt.Sprintf(" %s%s %s", x.Name, x.Labels, x.Type())
		if x.Len() > 0 {
			if v, ok := x.ConcreteAt(0); ok {
				out += fmt.Sprintf(" %v", v)
			}
		}
	}
	return out
}

// value is what a column has in a row.
func value(f *data.Frame, column string, row int) any {
	x, _ := f.FieldByName(column)
	if x == nil || row >= x.Len() {
		return "nothing"
	}
	v, _ := x.ConcreteAt(row)
	return v
}

func main() {
	backend.Logger = log.NewNullLogger()
	for _, driver := range []string{"pgx", "postgres"} {
		settings := backend.DataSourceInstanceSettings{UID: driver}
		p := panel{sqlds.NewDatasource(source{driver, os.Args[1] + "?sslmode=disable"}), backend.PluginContext{DataSourceInstanceSettings: &settings}}
		if _, err := p.NewDatasource(settings); err != nil {
			panic(err)
		}
		table := func(name, query string, right func(f *data.Frame) bool) {
			f, err := p.ask(sqlds.FormatOptionTable, query)
			check(driver+" table: "+name, err == nil && right(f), seen(f, err))
		}
		series := func(name, query string, right func(f *data.Frame) bool) {
			f, err := p.ask(sqlds.FormatOptionTimeSeries, query)
			check(driver+" series: "+name, err == nil && f.TimeSeriesSchema().Type == data.TimeSeriesTypeWide && right(f), seen(f, err))
		}
		health, err := p.CheckHealth(context.Background(), &backend.CheckHealthRequest{PluginContext: p.PluginContext})
		check(driver+" health", err == nil && health.Status == backend.HealthStatusOk, health)

		table("types", `SELECT true AS b, 1::smallint AS s, 1::int AS i, 1::bigint AS l, 1.50::decimal(10,2) AS d, 1.5::float AS f, 2.5::double AS g, 'x' AS t, date '2020-02-29' AS day,
			timestamp '2020-02-29 01:02:03.456' AS at, timestamptz '2020-02-29 01:02:03+02' AS z, [1, 2] AS list, {'a': 1} AS j, NULL AS n`, func(f *data.Frame) bool {
			return value(f, "b", 0) == true && value(f, "l", 0) == int64(1) && value(f, "d", 0) == 1.5 && value(f, "g", 0) == 2.5 && value(f, "t", 0) == "x" && value(f, "list", 0) == "{1,2}" &&
				value(f, "at", 0).(time.Time).Equal(time.Date(2020, 2, 29, 1, 2, 3, 456e6, time.UTC)) && value(f, "z", 0).(time.Time).Equal(time.Date(2020, 2, 28, 23, 2, 3, 0, time.UTC))
		})
		table("view", "SELECT shop, n, price, last FROM shops.by_shop WHERE $__timeFilter(last) AND shop IS NOT NULL ORDER BY shop", func(f *data.Frame) bool {
			return f.Rows() > 3 && value(f, "shop", 0) == "shop '0'" && value(f, "n", 0) == int64(77) && value(f, "price", 0) == 39293.75
		})
		table("$__timeGroupAlias, $__interval", `SELECT $__timeGroupAlias(hour,$__interval), count(*) AS n FROM shops.by_hour WHERE $__timeFilter(hour) GROUP BY 1 ORDER BY 1`, func(f *data.Frame) bool {
			first, _ := value(f, "time", 0).(float64)
			return f.Rows() > 3 && first >= 1299974400 && int64(first)%3600 == 0
		})
		table("$__unixEpochFilter, $__unixEpochGroup", `SELECT $__unixEpochGroup(extract(epoch from hour),'6h') AS time, max(mean) AS mean FROM shops.by_hour
			WHERE $__unixEpochFilter(extract(epoch from hour)) GROUP BY time ORDER BY time`, func(f *data.Frame) bool { return f.Rows() >= 1 && f.Rows() <= 4 })
		table("$__timeFrom, $__timeTo, $__interval_ms", `SELECT count(*) AS n, $__interval_ms AS step FROM shops.by_hour WHERE hour >= $__timeFrom() AND hour < $__timeTo()`, func(f *data.Frame) bool {
			return fmt.Sprint(value(f, "step", 0)) == "3600000" && value(f, "n", 0).(int64) > 10
		})
		table("no rows", "SELECT hour, mean FROM shops.by_hour WHERE hour < '1900-01-01'", func(f *data.Frame) bool { return f.Rows() == 0 && len(f.Fields) == 2 })

		series("one", `SELECT date_trunc('hour', hour) AS time, count(*) AS n FROM shops.by_hour WHERE $__timeFilter(hour) GROUP BY 1 ORDER BY 1`, func(f *data.Frame) bool { return f.Rows() > 3 && len(f.Fields) == 2 })
		series("by shop, long to wide", `SELECT hour AS time, shop AS metric, mean FROM shops.by_hour WHERE $__timeFilter(hour) AND shop IS NOT NULL ORDER BY 1, 2`, func(f *data.Frame) bool {
			return f.Rows() > 3 && len(f.Fields) == 8 && f.Fields[1].Labels["metric"] != ""
		})
		series("epoch as a time", `SELECT to_timestamp($__timeGroup(hour,$__interval)) AS time, sum(mean) AS mean FROM shops.by_hour WHERE $__timeFilter(hour) GROUP BY 1 ORDER BY 1`, func(f *data.Frame) bool { return f.Rows() > 3 })

		r := p.request(sqlds.FormatOptionTable, "SELECT nothing FROM shops.by_hour")["0"]
		check(driver+" mistake", r.Error != nil && strings.Contains(r.Error.Error(), "nothing"), r.Error)
		// A dashboard of many panels.
		many := make([]string, 40)
		for i := range many {
			many[i] = fmt.Sprintf("SELECT %d AS i, count(*) AS n FROM shops.by_hour WHERE $__timeFilter(hour)", i)
		}
		good, rows := 0, map[any]bool{}
		for ref, r := range p.request(sqlds.FormatOptionTable, many...) {
			if r.Error == nil && fmt.Sprint(value(r.Frames[0], "i", 0)) == ref {
				good++
				rows[value(r.Frames[0], "n", 0)] = true
			} else {
				check(driver+" panel "+ref, false, r.Error)
			}
		}
		check(driver+" 40 panels", good == 40 && len(rows) == 1, rows)
	}
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if strings.Contains(m.Path, "grafana-plugin-sdk-go") || strings.Contains(m.Path, "sqlds") || strings.HasSuffix(m.Path, "lib/pq") || strings.HasSuffix(m.Path, "pgx/v5") {
			fmt.Println(m.Path, m.Version)
		}
	}
	if failed {
		os.Exit(1)
	}
}

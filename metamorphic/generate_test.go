package metamorphic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// generator makes cases from a seed.
type generator struct {
	*rand.Rand
	c *Case
}

func generate(seed uint64) *Case {
	g := generator{rand.New(rand.NewPCG(seed, 7)), &Case{Seed: seed}}
	g.fields()
	for i := range g.IntN(4) {
		g.c.Rules = append(g.c.Rules, Rule{fmt.Sprintf("rule_%d", i), g.rare(), g.one("dead_letter", "filter")})
	}
	g.c.Views = []View{{Name: "plain", SQL: "SELECT name, count(*) AS n, sum(small) AS total, min(small) AS low, max(small) AS high FROM events GROUP BY ALL"}}
	for i := range 1 + g.IntN(4) {
		g.c.Views = append(g.c.Views, View{Name: fmt.Sprintf("view_%d", i), SQL: g.view()})
	}
	for _, f := range g.c.Fields {
		if f.Kind == "vast" || (f.Kind == "wild" || f.Kind == "double") && g.chance(50) {
			g.c.Views = append(g.c.Views, View{Name: "sums_" + f.Name, SQL: "SELECT name, sum(" + f.Name + ") AS total FROM events GROUP BY ALL", Sums: f.Name})
		}
	}
	if g.chance(25) {
		g.later()
	}
	g.events()
	g.sends()
	for i := range 2 {
		g.c.Runs = append(g.c.Runs, Run{g.settings(), g.actions(i)})
	}
	return g.c
}

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }
func (g generator) chance(percent int) bool { return g.IntN(100) < percent }
func ptr[T any](v T) *T                     { return &v }

// kinds of the fields beyond those that every case has.
var kinds = []string{
	"string", "int", "long", "double", "boolean", "decimal(9,2)", "decimal(18,6)", "decimal(30,4)", "timestamp", "date",
	"bytes", enum + "RED GREEN BLUE", "zoned", "millis", "float", "wild",
}

// times are the kinds of moments.
var times = []string{"timestamp", "date", "zoned", "millis"}

func (g generator) fields() {
	c := g.c
	// Name is grouped by, small is safe in arithmetic.
	c.Fields = []Field{{Name: "name", Kind: "string"}, {Name: "small", Kind: "int", Nullable: g.chance(30)}}
	if c.Content = g.chance(40); !c.Content {
		c.Fields = append(c.Fields, Field{Name: "id", Kind: g.one("string", "long")})
		c.ID = []string{"id"}
	}
	c.Time = "ts"
	c.Fields = append(c.Fields, Field{Name: "ts", Kind: g.one("timestamp", "timestamp", "timestamp", "date", "zoned", "millis"), Nullable: g.chance(20)})
	if g.chance(5) {
		c.Time = ""
	}
	for i := range g.IntN(5) {
		f := g.newField(fmt.Sprintf("f%d", i))
		c.Fields = append(c.Fields, f)
	}
	if g.chance(12) {
		c.Fields = append(c.Fields, Field{Name: "vast", Kind: "vast", Nullable: true})
	}
	g.Shuffle(len(c.Fields), func(i, j int) { c.Fields[i], c.Fields[j] = c.Fields[j], c.Fields[i] })
	if c.Content {
		for _, f := range c.Fields {
			if f.Name == "name" || f.Name == "ts" || g.chance(60) {
				c.ID = append(c.ID, f.Name)
			}
		}
	}
	if g.chance(50) {
		c.Key = []string{"name"}
	}
}

// newField is a field of any kind, which may have a default where it cannot
// be null.
func (g generator) newField(name string) Field {
	f := Field{Name: name, Kind: g.one(kinds...), Nullable: g.chance(50)}
	if !f.Nullable && g.chance(40) {
		f.Default = defaultOf(f.Kind)
	}
	return f
}

func defaultOf(kind string) *string {
	switch kind {
	case "string":
		return ptr("none")
	case "int", "long":
		return ptr("7")
	case "float", "double", "wild":
		return ptr("1.5")
	case "boolean":
		return ptr("true")
	}
	if strings.HasPrefix(kind, enum) {
		return ptr("GREEN")
	}
	return nil
}

// later makes the definition that comes into force half way: fields that are
// new, nullable or wider, and views that are new, changed or gone.
func (g generator) later() {
	c := g.c
	l := &Later{}
	for _, f := range c.Fields {
		if f.Name != "small" && f.Name != c.Time && g.chance(30) {
			switch f.Kind {
			case "int":
				f.Kind = g.one("long", "double")
			case "long": // some are so large that DuckDB's sums lose the small ones
				f.Kind = "wild"
			}
		}
		l.Fields = append(l.Fields, f)
	}
	for i := range g.IntN(4) {
		f := g.newField(fmt.Sprintf("n%d", i))
		if !f.Nullable && f.Default == nil {
			if f.Default = defaultOf(f.Kind); f.Default == nil {
				f.Nullable = true
			}
		}
		l.Fields = append(l.Fields, f)
	}
	g.Shuffle(len(l.Fields), func(i, j int) { l.Fields[i], l.Fields[j] = l.Fields[j], l.Fields[i] })
	c.Later = l
	for i, v := range c.Views {
		switch {
		case i == 0 || v.Sums != "" || g.chance(30):
		case g.chance(20):
			continue
		default:
			v.SQL = g.view()
		}
		for v.Sums == "" && l.sumsWild(v.SQL) {
			v.SQL = g.view()
		}
		l.Views = append(l.Views, v)
	}
	if g.chance(50) {
		l.Views = append(l.Views, View{Name: "view_new", SQL: g.view()})
	}
}

// sumsWild reports whether a view, as it was, sums up a field that has become
// so large that DuckDB's own sum is not the right one.
func (l *Later) sumsWild(sql string) bool {
	return slices.ContainsFunc(l.Fields, func(f Field) bool {
		return f.Kind == "wild" && (strings.Contains(sql, "sum("+f.Name+")") || strings.Contains(sql, "avg("+f.Name+")"))
	})
}

// names returns the fields of some kinds ("number" for all numbers).
func (g generator) names(kinds ...string) []string {
	var out []string
	for _, f := range g.c.newest() {
		for _, k := range kinds {
			number := f.Kind == "int" || f.Kind == "long" || f.Kind == "double" || f.Kind == "float" || strings.HasPrefix(f.Kind, "decimal")
			if k == f.Kind || k == "any" || k == "number" && number || k == "exact" && number && f.Kind != "double" && f.Kind != "float" || k == "text" && (f.Kind == "string" || strings.HasPrefix(f.Kind, enum)) {
				out = append(out, f.Name)
				break
			}
		}
	}
	return out
}

func (g generator) field(kinds ...string) string { return g.one(g.names(kinds...)...) }

func (g generator) view() string {
	var items []string
	ts := g.field(times...)
	n := 0
	for range []int{0, 1, 1, 1, 2, 2, 3}[g.IntN(7)] {
		n++
		key := ""
		switch g.IntN(12) {
		case 0, 1:
			key = fmt.Sprintf("time_bucket(INTERVAL '%s', %s)", g.one("1 hour", "20 minutes", "1 day", "7 days", "1 month", "6 hours"), ts)
		case 2, 3:
			key = fmt.Sprintf("date_trunc('%s', %s)", g.one("hour", "day", "week", "month", "year"), ts)
		case 4:
			key = fmt.Sprintf("strftime(%s, '%s')", ts, g.one("%Y-%m-%d", "%Y-%m", "%H", "%Y"))
		case 5:
			key = fmt.Sprintf("CAST(%s AS DATE)", ts)
		case 6:
			key = "small % 5"
		case 7:
			key = fmt.Sprintf("CASE WHEN %s THEN 'yes' ELSE 'no' END", g.condition(1))
		case 8:
			key = fmt.Sprintf("%s(%s)", g.one("upper", "lower", "length"), g.field("text"))
		case 9:
			key = fmt.Sprintf("COALESCE(%s, '-')", g.field("text"))
		case 10:
			key = g.field("int", "long", "text", "boolean", "date", "exact", "bytes")
		default:
			key = g.field("text")
		}
		items = append(items, fmt.Sprintf("%s AS k%d", key, n))
	}
	for range 1 + g.IntN(5) {
		n++
		items = append(items, fmt.Sprintf("%s AS a%d", g.aggregate(1), n))
	}
	text := "SELECT " + strings.Join(items, ", ") + " FROM events"
	if g.chance(30) {
		text += " WHERE " + g.condition(2)
	}
	return text + " GROUP BY ALL"
}

func (g generator) aggregate(depth int) string {
	filter := ""
	if g.chance(20) {
		filter = " FILTER (WHERE " + g.condition(1) + ")"
	}
	switch g.IntN(18) {
	case 0, 1:
		return "count(*)" + filter
	case 2:
		return fmt.Sprintf("count(%s)%s", g.field("any"), filter)
	case 3, 4:
		return fmt.Sprintf("sum(%s)%s", g.field("number"), filter)
	case 5, 6:
		return fmt.Sprintf("%s(%s)%s", g.one("min", "max"), g.field("any"), filter)
	case 7:
		return fmt.Sprintf("avg(%s)%s", g.field("number"), filter)
	case 8:
		return fmt.Sprintf("count(DISTINCT %s)%s", g.field("any"), filter)
	case 9:
		return fmt.Sprintf("approx_count_distinct(%s)%s", g.field("any"), filter)
	case 10:
		return fmt.Sprintf("approx_quantile(%s, %s)%s", g.one("small", g.field("int", "long", "double"), fmt.Sprintf("CAST(%s AS DOUBLE)", g.field("number"))), g.one("0.5", "0.9", "0.01", "0.99"), filter)
	case 11, 12:
		return fmt.Sprintf("%s(%s, %s)%s", g.one("arg_min", "arg_max"), g.field("any"), g.field("timestamp", "date", "zoned", "millis", "exact"), filter)
	case 13:
		return fmt.Sprintf("sum(CASE WHEN %s THEN 1 ELSE 0 END)", g.condition(1))
	case 14:
		return fmt.Sprintf("sum(%s)%s", g.one("small * 3", "small + 1", "abs(small)", "length(name)", "small % 7"), filter)
	}
	if depth == 0 || g.chance(30) { // infinities, and what is no number
		return fmt.Sprintf("%s(small / (small %% 3))%s", g.one("sum", "min", "max", "avg", "count"), filter)
	}
	switch g.IntN(4) {
	case 0:
		return "sum(small) / count(*)"
	case 1:
		return "CAST(COALESCE(sum(small), 0) AS BIGINT) + count(*)"
	case 2:
		return fmt.Sprintf("CASE WHEN count(*) > 2 THEN max(%s) END", g.field("any"))
	}
	return "(max(small) - min(small)) * 2"
}

func (g generator) condition(depth int) string {
	if depth > 0 && g.chance(30) {
		return fmt.Sprintf("(%s %s %s)", g.condition(depth-1), g.one("AND", "OR"), g.condition(depth-1))
	}
	switch g.IntN(8) {
	case 0:
		return fmt.Sprintf("(small %s %d)", g.one(">", "<", "=", "<>", ">="), g.IntN(20)-10)
	case 1:
		return fmt.Sprintf("(%s %s '%s')", g.field("text"), g.one("=", "<>", "<", ">="), g.one("a", "hot", "ä", "", "b"))
	case 2:
		return fmt.Sprintf("(%s IS %s NULL)", g.field("any"), g.one("", "NOT"))
	case 3:
		return fmt.Sprintf("(%s %s '%s')", g.field(times...), g.one("<", ">="), g.one("2020-03-01", "1969-12-31", "2020-03-03"))
	case 4:
		return "(NOT " + g.condition(0) + ")"
	case 5:
		return fmt.Sprintf("(%s LIKE '%s')", g.field("text"), g.one("h%", "%a%", "_", "%"))
	case 6:
		return fmt.Sprintf("(%s %s %d)", g.field("number"), g.one(">", "<", "<="), g.IntN(200)-100)
	}
	return fmt.Sprintf("(small %% %d = 0)", 2+g.IntN(3))
}

// rare is a condition that holds for some events only.
func (g generator) rare() string {
	switch g.IntN(4) {
	case 0:
		return fmt.Sprintf("small = %d", g.IntN(20)-10)
	case 1:
		return "name = 'b'"
	case 2:
		return "small % 7 = 3"
	}
	return "(small > 5 AND " + g.condition(1) + ")"
}

var words = []string{"hot", "hot", "hot", "hot", "a", "b", "Ab", "ä", "日本", "x y", `q"uo,te`, "it's", "\U0001f600", "z", "null", "0"}

func (g generator) text(f Field) string {
	switch f.Kind {
	case "string":
		switch {
		case g.chance(8) && f.Name != "id":
			return ""
		case g.chance(2):
			return strings.Repeat(g.one("long", "läng"), 100+g.IntN(900))
		case g.chance(15):
			return fmt.Sprintf("w%d", g.IntN(40))
		}
		return g.one(words...)
	case "int":
		if f.Name != "small" && g.chance(10) {
			return g.one("2147483647", "-2147483648")
		}
		return fmt.Sprint(g.IntN(41) - 20)
	case "long":
		if g.chance(10) {
			return g.one("9223372036854775807", "-9223372036854775808", "9007199254740993")
		}
		return fmt.Sprint(g.IntN(2000) - 1000)
	case "double":
		return fmt.Sprint(float64(g.IntN(2_000_001)-1_000_000) / g.pick(1, 8, 1000))
	case "float":
		return fmt.Sprint(float64(g.IntN(2001)-1000) / 4)
	case "wild":
		return g.one("-0.0", "0", "1e308", "-1e308", "1.7976931348623157e308", "5e-324", "-5e-324", "2.5", "1", "-1")
	case "vast":
		if g.chance(30) {
			return g.one(strings.Repeat("9", 38), "-"+strings.Repeat("9", 38), "9"+strings.Repeat("0", 37), "-9"+strings.Repeat("0", 37))
		}
		return fmt.Sprint(g.IntN(2000) - 1000)
	case "bytes":
		return g.one("", "a", "\u00ff\u0000", "hot", "\u0080x")
	case "boolean":
		return g.one("true", "false")
	case "timestamp", "date", "zoned", "millis":
		return g.time(f.Kind)
	}
	if symbols, ok := strings.CutPrefix(f.Kind, enum); ok {
		return g.one(strings.Fields(symbols)...)
	}
	var p, s int
	fmt.Sscanf(f.Kind, "decimal(%d,%d)", &p, &s)
	whole := p - s
	if p == 30 {
		whole -= 2 // sums stay within their type
	}
	digits := 1 + g.IntN(whole)
	if g.chance(80) {
		digits = min(digits, 3)
	}
	var b strings.Builder
	if g.chance(40) {
		b.WriteByte('-')
	}
	b.WriteByte(byte('1' + g.IntN(9)))
	for range digits - 1 {
		b.WriteByte(byte('0' + g.IntN(10)))
	}
	if n := g.IntN(s + 1); n > 0 {
		b.WriteByte('.')
		for range n {
			b.WriteByte(byte('0' + g.IntN(10)))
		}
	}
	return b.String()
}

func (g generator) pick(of ...float64) float64 { return of[g.IntN(len(of))] }

func (g generator) time(kind string) string {
	t := time.Date(2020, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(g.IntN(4*24*3600)) * time.Second)
	switch {
	case g.chance(4):
		t = t.AddDate(-g.IntN(120), -g.IntN(12), 0) // years late
	case g.chance(3):
		t = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(g.IntN(200)-100) * time.Minute)
	case g.chance(3):
		t = t.AddDate(g.IntN(30), 0, 0)
	case g.chance(10):
		t = t.Truncate(time.Hour)
	}
	if kind == "date" {
		return t.Format(time.DateOnly)
	}
	if g.chance(30) {
		t = t.Add(time.Duration(g.IntN(1_000_000)) * time.Microsecond)
	}
	switch kind {
	case "millis":
		t = t.Truncate(time.Millisecond)
	case "zoned":
		zone := time.FixedZone("", (g.IntN(27)-12)*3600+g.IntN(2)*1800)
		if g.chance(50) {
			zone = time.UTC
		}
		return t.In(zone).Format("2006-01-02T15:04:05.999999Z07:00")
	}
	return t.Format(g.one("2006-01-02 15:04:05.999999", "2006-01-02T15:04:05.999999"))
}

func (g generator) event(id int) Event {
	e := Event{}
	for _, f := range g.c.newest() {
		switch {
		case f.Name == "id":
			e.Values = append(e.Values, ptr(fmt.Sprint(id)))
		case (f.Nullable || f.Default != nil) && g.chance(20):
			e.Values = append(e.Values, nil)
		default:
			e.Values = append(e.Values, ptr(g.text(f)))
		}
	}
	return e
}

func (g generator) events() {
	c := g.c
	fields := c.newest()
	at := map[string]int{}
	for i, f := range fields {
		at[f.Name] = i
	}
	count := []int{5, 30, 60, 120, 250}[g.IntN(5)]
	for i := range count {
		var e Event
		switch {
		case g.chance(3):
			e = Event{Line: g.one(`{"name": `, "nonsense", `{"name": "a"} {}`, `["a"]`, `{"name": "a", "name": "b"}`)}
		case g.chance(12) && i > 0: // another content under an id that was there
			from := c.Events[g.IntN(i)]
			if from.Line != "" || from.Bad {
				from = g.event(i)
			}
			e.Values = slices.Clone(from.Values)
			for range 1 + g.IntN(2) {
				f := g.IntN(len(fields))
				if fields[f].Name != "id" && (c.Key == nil || fields[f].Name != "name" || g.chance(20)) {
					e.Values[f] = ptr(g.text(fields[f]))
				}
			}
		case g.chance(8) && i > 0: // one that takes back what another said
			if from := c.Events[g.IntN(i)]; from.Line == "" && !from.Bad && from.Values[at["small"]] != nil {
				e = Event{Values: slices.Clone(from.Values), Retracts: true}
				e.Values[at["small"]] = ptr(negated(*from.Values[at["small"]]))
				if !c.Content {
					e.Values[at["id"]] = ptr(fmt.Sprint(i))
				}
				break
			}
			e = g.event(i)
		default:
			e = g.event(i)
		}
		for f := range e.Values { // the event time must be there
			e.Bad = e.Bad || fields[f].Name == c.Time && e.Values[f] == nil
		}
		if e.Line == "" && g.chance(3) {
			e.Values[at["small"]], e.Bad = ptr(g.one("1.5", "99999999999", "true")), true
		}
		c.Events = append(c.Events, e)
	}
}

// negated is the text of a whole number with the other sign.
func negated(text string) string {
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		return rest
	}
	if text == "0" {
		return text
	}
	return "-" + text
}

// sends puts the events into bodies: in order, with copies of earlier ones.
func (g generator) sends() {
	change := len(g.c.Events) // where the later definition begins
	if g.c.Later != nil {
		change = g.IntN(change + 1)
	}
	for i := 0; i < len(g.c.Events); {
		s := Send{CSV: g.chance(30), Retry: g.chance(10), Later: i >= change}
		for range 1 + g.IntN(20) {
			if i < len(g.c.Events) {
				s.Events = append(s.Events, i)
				i++
			}
			if g.chance(20) {
				s.Events = append(s.Events, g.IntN(i))
			}
		}
		if g.chance(50) {
			g.Shuffle(len(s.Events), func(i, j int) { s.Events[i], s.Events[j] = s.Events[j], s.Events[i] })
		}
		g.c.Sends = append(g.c.Sends, s)
		if !s.Later && g.c.Later != nil {
			g.early(s.Events)
		}
	}
}

// early makes events such as a producer of the first definition writes: without
// the fields that are new, and with values that the narrower ones hold.
func (g generator) early(events []int) {
	before := map[string]Field{}
	for _, f := range g.c.Fields {
		before[f.Name] = f
	}
	for _, n := range events {
		e := g.c.Events[n]
		for i, f := range g.c.newest() {
			was, there := before[f.Name]
			switch {
			case e.Line != "":
			case !there:
				e.Values[i] = nil
			case was.Kind != f.Kind && e.Values[i] != nil:
				e.Values[i] = ptr(g.text(was))
			}
		}
	}
}

func (g generator) settings() Settings {
	n := func(of ...int) int { return of[g.IntN(len(of))] }
	s := Settings{
		Partitions: 1 + g.IntN(5), Gateways: n(0, 0, 2), LingerMicros: n(-1, -1, 200), FrameBytes: n(1, 300, 4000, 1<<20),
		SegmentRows: int64(n(1, 7, 50, 100000)), ChunkRows: int64(n(5, 40, 100000)), FoldRows: int64(n(3, 30, 100000)),
		MaxGroups: int64(n(2, 12, 100000)), SnapshotRecords: n(1, 5, 1000), Grace: g.chance(50), LoseAcks: n(0, 0, 2, 5),
	}
	if g.chance(6) {
		s.Log = "nats"
	}
	if g.chance(10) {
		s.Bucket = "file"
	}
	return s
}

func (g generator) actions(run int) []Action {
	var out []Action
	// With several producers, or refusals, the order is another in each run,
	// and so may be the answers where copies conflict.
	several, refusals := g.chance(35), g.chance(25)
	for left := len(g.c.Sends); left > 0; {
		if n := 2 + g.IntN(4); several && g.chance(40) {
			out = append(out, Action{Do: "together", N: n})
			left -= n
		} else {
			out = append(out, Action{Do: "send"})
			left--
		}
		for range g.IntN(3) {
			switch g.IntN(21) {
			case 0, 1, 2:
				out = append(out, g.run(Action{Do: "nightly", Quiet: g.chance(30)}))
			case 3:
				a := g.run(Action{Do: g.one("backfill", "backfill", "race"), Quiet: g.chance(30)})
				from := int32(18322 + g.IntN(4)) // 2020-03-01
				if g.chance(70) {
					a.From = ptr(from)
				}
				if g.chance(70) {
					a.To = ptr(from + int32(g.IntN(3)))
				}
				if a.Do == "race" {
					a.Freeze = 0
				}
				out = append(out, a)
			case 20:
				out = append(out, g.run(Action{Do: "compact", Quiet: g.chance(30)}))
			case 4, 5:
				out = append(out, Action{Do: "crash"})
			case 6, 7, 8, 9:
				if run == 0 {
					out = append(out, Action{Do: "query"})
				}
			case 10:
				out = append(out, Action{Do: g.one("wake", "wake", "during", "race")})
			case 11:
				if !refusals {
					break
				}
				out = append(out, Action{Do: "full", N: g.IntN(3)}, Action{Do: "send"}, Action{Do: g.one("room", "room", "crash", "nightly", "older")})
				left--
			default:
				out = append(out, Action{Do: g.one("snapshot", "restart", "sealer", "hold", "flow", "older", "trim", "crash", "abandon", "twice", "room")})
			}
		}
	}
	return out
}

// run decides whether a batch comes to its end.
func (g generator) run(a Action) Action {
	switch g.IntN(8) {
	case 0:
		a.Die = 1 + g.IntN(60)
	case 1:
		a.Freeze = 1 + g.IntN(60)
	}
	return a
}

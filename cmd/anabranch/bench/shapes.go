package bench

import "anabranch/view"

// manyCards is how many cards there are where texts are to be many: some million
// of them are met by six million payments.
const manyCards = 2_000_000

// shape is a view of another kind than those that are measured for their own
// sake: what tells its groups apart, or what it keeps of them.
type shape struct {
	what  string // for people
	cards int    // of the payments
	view  view.Source
}

// shapes are what a pipeline may ask as well. There are no goals for them: they
// show where we stand beside the peer on what nobody has chosen.
var shapes = []shape{
	{"by card, of a million", manyCards, view.Source{Name: "card", SQL: `SELECT card, count(*) AS n, sum(amount) AS total
FROM events GROUP BY ALL`}},
	{"by card, of 200,000", cardCount, view.Source{Name: "card", SQL: `SELECT card, count(*) AS n, sum(amount) AS total
FROM events GROUP BY ALL`}},
	{"by card and day, of a million cards", manyCards, view.Source{Name: "card-day", SQL: `SELECT card, date_trunc('day', ts) AS day, count(*) AS n, sum(amount) AS total
FROM events GROUP BY ALL`}},
	{"by event id, no two the same", cardCount, view.Source{Name: "id", SQL: `SELECT event_id, count(*) AS n
FROM events GROUP BY ALL`}},
	{"by a text of merchant and country", cardCount, view.Source{Name: "joined", SQL: `SELECT merchant || '-' || country AS place, count(*) AS n, sum(amount) AS total
FROM events GROUP BY ALL`}},
	{"by a text of card and category", cardCount, view.Source{Name: "joined-cards", SQL: `SELECT card || '-' || category AS habit, count(*) AS n
FROM events GROUP BY ALL`}},
	{"by the first characters of a card", cardCount, view.Source{Name: "part", SQL: `SELECT upper(left(card, 10)) AS block, count(*) AS n, sum(amount) AS total
FROM events GROUP BY ALL`}},
	{"smallest and largest card by merchant and hour", cardCount, view.Source{Name: "least", SQL: `SELECT merchant, date_trunc('hour', ts) AS hour, min(card) AS least, max(card) AS most
FROM events GROUP BY ALL`}},
	{"smallest event id by card", cardCount, view.Source{Name: "first", SQL: `SELECT card, min(event_id) AS first
FROM events GROUP BY ALL`}},
	{"amount of the latest event by merchant and hour", cardCount, view.Source{Name: "latest", SQL: `SELECT merchant, date_trunc('hour', ts) AS hour, arg_max(amount, ts) AS latest
FROM events GROUP BY ALL`}},
	{"card of the latest event by merchant and hour", cardCount, view.Source{Name: "latest-card", SQL: `SELECT merchant, date_trunc('hour', ts) AS hour, arg_max(card, ts) AS latest
FROM events GROUP BY ALL`}},
	{"merchant of the largest event by card", cardCount, view.Source{Name: "largest", SQL: `SELECT card, arg_max(merchant, amount) AS latest
FROM events GROUP BY ALL`}},
	{"by a flag and hour", cardCount, view.Source{Name: "flag", SQL: `SELECT online, date_trunc('hour', ts) AS hour, count(*) AS n
FROM events GROUP BY ALL`}},
	{"by band of ten of the amount and day", cardCount, view.Source{Name: "band", SQL: `SELECT CAST(floor(amount::DOUBLE / 10) AS BIGINT) AS band, date_trunc('day', ts) AS day, count(*) AS n
FROM events GROUP BY ALL`}},
	{"different cards, exactly, by merchant and day", cardCount, view.Source{Name: "cards-exact", SQL: `SELECT merchant, date_trunc('day', ts) AS day, count(DISTINCT card) AS different
FROM events GROUP BY ALL`}},
	{"of large events in one country, by category and day", cardCount, view.Source{Name: "filtered", SQL: `SELECT category, date_trunc('day', ts) AS day, count(*) AS n, avg(amount) AS mean, max(amount) AS most
FROM events WHERE amount > 50 AND country = 'C07' GROUP BY ALL`}},
}

func shapeRows() []row {
	var rows []row
	for i := range shapes {
		s := &shapes[i]
		r := row{Row: Row{Name: "shape-" + s.view.Name, What: s.what, Unit: "CPU s", Peers: duckName}, peer: "duckdb", value: cpu, check: compareViews}
		if s.cards == manyCards {
			r.Name += "-many"
		}
		r.task = Task{Job: "fold", Data: Data{Kind: "payments", Cards: s.cards}, Views: []string{s.view.Name}, Cores: 1}
		rows = append(rows, r)
	}
	return rows
}

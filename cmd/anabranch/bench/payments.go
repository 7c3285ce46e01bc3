package bench

import (
	"math"
	"math/bits"
	"sort"
	"strconv"
	"time"

	"anabranch/schemas"
	"anabranch/view"
)

// Payments are card payments made from a seed. Event i is always the same, so
// that any process can make any part of them.
//
// Cards and merchants are zipf (the most used has a share of some percent), 2 %
// are copies of an event shortly before, 1 % are late by hours to three days,
// and time goes on by a day in each EventsPerDay events.
type Payments struct {
	Seed   uint64
	Events int

	cards, merchants zipf
}

// The scale of the payments.
const (
	EventsPerDay = 1_000_000
	cardCount    = 200_000
	shopCount    = 2_000
	copiesBehind = 100_000 // how far behind its event a copy comes at most
)

// firstDay is the event day of the first payment.
var firstDay = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// NewPayments returns the payments of a seed, of so many cards (0: 200,000).
func NewPayments(seed uint64, events, cards int) *Payments {
	if cards == 0 {
		cards = cardCount
	}
	return &Payments{Seed: seed, Events: events, cards: newZipf(cards, 0.9), merchants: newZipf(shopCount, 1.05)}
}

// zipf draws numbers below n, number k with a probability like 1/(k+1)^s.
type zipf []float64 // cumulated

func newZipf(n int, s float64) zipf {
	z := make(zipf, n)
	sum := 0.0
	for k := range z {
		sum += math.Pow(float64(k+1), -s)
		z[k] = sum
	}
	for k := range z {
		z[k] /= sum
	}
	return z
}

func (z zipf) at(u float64) int { return min(sort.SearchFloat64s(z, u), len(z)-1) }

// dice are the random numbers of one event (splitmix64).
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	x := uint64(*d)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (d *dice) below(n int) int {
	hi, _ := bits.Mul64(d.next(), uint64(n))
	return int(hi)
}

func (d *dice) float() float64 { return float64(d.next()>>11) / (1 << 53) }

func (p *Payments) dice(i int) dice {
	d := dice(p.Seed*0xd1342543de82ef95 + uint64(i)*0x2545f4914f6cdd1d)
	d.next()
	return d
}

// original returns the event that event i is a copy of, or i.
func (p *Payments) original(i int) int {
	for {
		d := p.dice(i)
		if i == 0 || d.below(100) >= 2 {
			return i
		}
		i -= 1 + d.below(min(i, copiesBehind))
	}
}

// AppendJSON appends event i as a line of about 200 bytes.
func (p *Payments) AppendJSON(b []byte, i int) []byte {
	i = p.original(i)
	d := p.dice(i)
	d.next() // decided whether it is a copy
	at := firstDay.UnixMicro() + int64(float64(i)/EventsPerDay*86400e6)
	if d.below(100) == 0 {
		at -= int64(1+d.below(72)) * 3600e6
	}
	card, shop := p.cards.at(d.float()), p.merchants.at(d.float())
	cents := int(math.Exp(3+1.2*d.normal())*100) + 1
	b = append(b, `{"event_id":"`...)
	b = appendID(b, uint64(i), d.next())
	b = append(b, `","ts":"`...)
	b = time.UnixMicro(at).UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = appendPadded(append(b, `","card":"card_`...), card, 8)
	b = appendPadded(append(b, `","merchant":"merchant_`...), shop, 5)
	b = appendPadded(append(b, `","category":"cat_`...), shop%20, 2)
	b = strconv.AppendInt(append(b, `","amount":`...), int64(cents/100), 10)
	b = appendPadded(append(b, '.'), cents%100, 2)
	b = appendPadded(append(b, `,"country":"C`...), card%50, 2)
	b = strconv.AppendBool(append(b, `","online":`...), d.next()&1 == 0)
	return append(b, '}', '\n')
}

// normal draws from a distribution close to the normal one.
func (d *dice) normal() float64 {
	sum := -6.0
	for range 12 {
		sum += d.float()
	}
	return sum
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// appendID appends 26 characters as a ULID has them: time first, then chance.
func appendID(b []byte, time, chance uint64) []byte {
	time += 1767571200000
	for shift := 45; shift >= 0; shift -= 5 {
		b = append(b, crockford[time>>shift&31])
	}
	for range 16 {
		b = append(b, crockford[chance&31])
		chance = bits.RotateLeft64(chance, -4) // 64 bits of chance spread over 80
	}
	return b
}

func appendPadded(b []byte, n, width int) []byte {
	for unit := int(math.Pow10(width - 1)); unit > 0; unit /= 10 {
		b = append(b, byte('0'+n/unit%10))
	}
	return b
}

// The pipeline that the payments are of.
const paymentsAvro = `{"type": "record", "name": "payment", "fields": [
	{"name": "event_id", "type": "string"},
	{"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}},
	{"name": "card", "type": "string"},
	{"name": "merchant", "type": "string"},
	{"name": "category", "type": "string"},
	{"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
	{"name": "country", "type": ["null", "string"], "default": null},
	{"name": "online", "type": "boolean"}]}`

var paymentsIdentity = schemas.Identity{Fields: []string{"event_id"}, Time: "ts", Key: []string{"card"}}

// The views that are measured.
var (
	volume = view.Source{Name: "volume", SQL: `SELECT merchant, date_trunc('hour', ts) AS hour, count(*) AS n, sum(amount) AS total
FROM events GROUP BY ALL`}
	profile = view.Source{Name: "profile", SQL: `SELECT merchant, date_trunc('hour', ts) AS hour, count(*) AS n, sum(amount) AS total,
  min(amount) AS least, max(amount) AS most, avg(amount) AS mean, approx_count_distinct(card) AS cards,
  approx_quantile(amount::DOUBLE, 0.5) AS p50, approx_quantile(amount::DOUBLE, 0.99) AS p99
FROM events GROUP BY ALL`}
	live = view.Source{Name: "live", SQL: `SELECT merchant, date_trunc('hour', ts) AS hour, count(*) AS n, sum(amount) AS total,
  approx_count_distinct(card) AS cards, approx_quantile(amount::DOUBLE, 0.99) AS p99
FROM events GROUP BY ALL`}
)

package httpapi

import (
	"anabranch/serving/sql"
)

// rowset is rows to write, of a query or of a lookup. Next returns nil at the
// end; a row is valid until the following call.
type rowset struct {
	columns []sql.Column
	next    func() ([]sql.Datum, error)
}

// typesOf are those of the columns, by which values are told.
func typesOf(a rowset) []*sql.Type {
	out := make([]*sql.Type, len(a.columns))
	for i, c := range a.columns {
		out[i] = sql.TypeNamed(c.Type)
	}
	return out
}

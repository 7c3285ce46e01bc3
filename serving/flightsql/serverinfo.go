package flightsql

import (
	"context"
	"fmt"
	"maps"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql/schema_ref"

	"anabranch/fault"
)

// describe registers what the server tells about itself.
func (d *Door) describe() error {
	told := dialect()
	maps.Copy(told, map[flightsql.SqlInfo]any{
		flightsql.SqlInfoFlightSqlServerName:          "anabranch",
		flightsql.SqlInfoFlightSqlServerVersion:       d.o.Version,
		flightsql.SqlInfoFlightSqlServerArrowVersion:  arrow.PkgVersion,
		flightsql.SqlInfoFlightSqlServerReadOnly:      true,
		flightsql.SqlInfoFlightSqlServerSql:           true,
		flightsql.SqlInfoFlightSqlServerSubstrait:     false,
		flightsql.SqlInfoFlightSqlServerTransaction:   int32(flightsql.SqlTransactionNone),
		flightsql.SqlInfoFlightSqlServerCancel:        true,
		flightsql.SqlInfoFlightSqlServerBulkIngestion: false,
	})
	for id, v := range told {
		if err := d.RegisterSqlInfo(id, v); err != nil {
			return fault.Wrap(fault.Bug, fmt.Errorf("describe the server: %w", err))
		}
		d.known = append(d.known, uint32(id))
	}
	return nil
}

// known leaves out of a question what the server has nothing to tell about.
type knownInfo []uint32

func (k knownInfo) GetInfo() []uint32 { return k }

// DoGetSqlInfo tells about the server.
func (d *Door) DoGetSqlInfo(ctx context.Context, q flightsql.GetSqlInfo) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	asked := knownInfo{}
	for _, id := range q.GetInfo() {
		for _, have := range d.known {
			if id == have {
				asked = append(asked, id)
			}
		}
	}
	if len(q.GetInfo()) == 0 {
		asked = d.known
	} else if len(asked) == 0 {
		return rows(schema_ref.SqlInfo, nil)
	}
	schema, from, err := d.BaseServer.DoGetSqlInfo(ctx, asked)
	if err != nil {
		return nil, nil, err
	}
	var chunks []flight.StreamChunk
	for c := range from { // its sender would wait for ever for a client that is gone
		chunks = append(chunks, c)
	}
	out := make(chan flight.StreamChunk, len(chunks))
	for _, c := range chunks {
		out <- c
	}
	close(out)
	return schema, out, nil
}

package flightsql_test

import (
	"anabranch/serving/flightsql"
	"slices"
	"testing"

	client "github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	pb "github.com/apache/arrow/go/v17/arrow/flight/gen/flight"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/apache/arrow/go/v17/arrow/array"
)

// Every question about the server that there is has an answer: JDBC's driver
// fails at those that have none. What is said to be a function is one.
func TestDialect(t *testing.T) {
	t.Parallel()
	b := setup(t, flightsql.Options{})
	info, err := b.client.GetSqlInfo(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.client.DoGet(t.Context(), info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	told, functions := map[int32]bool{}, []string{}
	for r.Next() {
		ids, values := r.Record().Column(0).(*array.Uint32), r.Record().Column(1).(*array.DenseUnion)
		for i := range ids.Len() {
			id := int32(ids.Value(i))
			told[id] = true
			if id == int32(client.SqlInfoNumericFunctions) || id == int32(client.SqlInfoStringFunctions) || id == int32(client.SqlInfoSystemFunctions) || id == int32(client.SqlInfoDateTimeFunctions) {
				list := values.Field(values.ChildID(i)).(*array.List)
				from, to := list.ValueOffsets(int(values.ValueOffset(i)))
				for k := from; k < to; k++ {
					functions = append(functions, list.ListValues().(*array.String).Value(int(k)))
				}
			}
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	none := []pb.SqlInfo{pb.SqlInfo_FLIGHT_SQL_SERVER_SUBSTRAIT_MIN_VERSION, pb.SqlInfo_FLIGHT_SQL_SERVER_SUBSTRAIT_MAX_VERSION, pb.SqlInfo_FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT}
	for id, name := range pb.SqlInfo_name {
		if !told[id] && !slices.Contains(none, pb.SqlInfo(id)) {
			t.Errorf("nothing is told about %s", name)
		}
	}
	if len(functions) < 60 {
		t.Error(functions)
	}
	for _, f := range functions {
		_, err := b.client.Execute(t.Context(), "SELECT "+f+"(1, 2, 3, 4, 5)")
		for _, d := range status.Convert(err).Details() {
			if reason := d.(*errdetails.ErrorInfo).Reason; reason == "unknown_function" || reason == "function_refused" {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
	if _, err := b.client.Execute(t.Context(), "SELECT no_function(1)"); status.Convert(err).Details()[0].(*errdetails.ErrorInfo).Reason != "unknown_function" {
		t.Error(err)
	}
}

package flightsql_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight"
	pb "github.com/apache/arrow/go/v17/arrow/flight/gen/flight"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"anabranch/serving/flightsql"
)

var damages = flag.Int("damages", 1000, "damaged messages to send")

// Arguments that are compressed, or damaged, are refused, and the door goes on.
func TestArgumentsFromStrangers(t *testing.T) {
	b := setup(t, flightsql.Options{})
	p, err := b.client.Prepare(t.Context(), "SELECT $1 AS v")
	if err != nil {
		t.Fatal(err)
	}
	command, err := anypb.New(&pb.CommandPreparedStatementQuery{PreparedStatementHandle: p.Handle()})
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := proto.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	put := func(damage func(*flight.FlightData), o ...ipc.Option) error {
		stream, err := b.client.Client.DoPut(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		schema := arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.BinaryTypes.String}, {Name: "2", Type: arrow.PrimitiveTypes.Int64}, {Name: "3", Type: &arrow.TimestampType{Unit: arrow.Second, TimeZone: "UTC"}}}, nil)
		rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		rb.Field(0).(*array.StringBuilder).Append("some text")
		rb.Field(1).(*array.Int64Builder).Append(7)
		rb.Field(2).(*array.TimestampBuilder).AppendNull()
		w := flight.NewRecordWriter(sender{stream, damage}, append(o, ipc.WithSchema(schema))...)
		w.SetFlightDescriptor(&flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: cmd})
		_ = w.Write(rb.NewRecord()) // what is wrong with it is told below
		_ = stream.CloseSend()
		_, err = stream.Recv()
		return err
	}
	if err := put(nil); err != nil {
		t.Fatal("as they should be:", err)
	}
	if err := put(nil, ipc.WithZstd()); status.Code(err) != codes.InvalidArgument {
		t.Error("compressed:", err)
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	for i := range *damages {
		err := put(func(d *flight.FlightData) {
			n := len(d.DataHeader)
			switch {
			case n == 0:
			case i < 400:
				d.DataHeader[i%n] ^= byte(1 << (i % 8))
			default:
				for range 1 + r.IntN(4) {
					d.DataHeader[r.IntN(n)] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32())}[r.IntN(6)]
				}
			}
			if n := len(d.DataBody); n > 0 && i%2 == 0 {
				d.DataBody[r.IntN(n)] ^= 0x80
			}
		})
		if c := status.Code(err); c == codes.Unavailable {
			t.Fatalf("damaged at %d: %v", i, err)
		}
	}
	if err := put(nil); err != nil {
		t.Error("afterwards:", err)
	}
}

// sender damages what it sends.
type sender struct {
	flight.FlightService_DoPutClient
	damage func(*flight.FlightData)
}

func (s sender) Send(d *flight.FlightData) error {
	if s.damage != nil {
		d = proto.Clone(d).(*flight.FlightData)
		s.damage(d)
	}
	return s.FlightService_DoPutClient.Send(d)
}

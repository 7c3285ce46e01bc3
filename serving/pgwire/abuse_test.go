package pgwire_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// told sends bytes to the door, ends what it sends, and returns the state and the
// message of the error that comes, or the letters of the messages that do, those of one kind in a row as one.
func (b *bench) told(raw []byte) string {
	b.Helper()
	c, err := net.Dial("tcp", b.address)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(raw); err != nil {
		b.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	all, _ := io.ReadAll(c) // the door may close with some of it unread
	letters := ""
	for len(all) >= 5 {
		size := int(binary.BigEndian.Uint32(all[1:])) + 1
		if all[0] == 'E' {
			var e pgproto3.ErrorResponse
			if err := e.Decode(all[5:size]); err != nil {
				b.Fatal(err)
			}
			return letters + e.Severity + " " + e.Code + ": " + e.Message
		}
		if letter := string(all[0]); !strings.HasSuffix(letters, letter) {
			letters += letter
		}
		all = all[size:]
	}
	return letters
}

// packet is a message that has no letter.
func packet(code uint32, body string) []byte {
	return append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(len(body)+8)), code), body...)
}

// Whoever does not speak the protocol is told so, and who speaks a newer version of
// it that one was asked for which there is not.
func TestGreetings(t *testing.T) {
	t.Parallel()
	b := open(t)
	const in = "RSKZ"
	for raw, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                              "FATAL 08P01: a startup message of 1195725856 bytes",
		"\x16\x03\x01\x02\x00\x01\x00\x01":                               "FATAL 08P01: a startup message of",
		"\x00\x00\x00\x00":                                               "FATAL 08P01: a startup message of 0 bytes",
		"\x00\x00\x00\x04":                                               "FATAL 08P01: a startup message of 4 bytes",
		"\xff\xff\xff\xff\x00\x03\x00\x00":                               "FATAL 08P01: a startup message of 4294967295 bytes",
		string(packet(2<<16, "user\x00a\x00\x00")):                       "FATAL 0A000: protocol 2.0 is not spoken here",
		string(packet(7<<16|1, "user\x00a\x00\x00")):                     "FATAL 0A000: protocol 7.1 is not spoken here",
		string(packet(3<<16, "user\x00aaaa")):                            "FATAL 08P01: the startup message is not a list",
		string(packet(3<<16, "\x00")):                                    "FATAL 28000: the client names no user",
		string(packet(3<<16, "database\x00a\x00\x00")):                   "FATAL 28000: the client names no user",
		string(packet(1234<<16|5678, "\x00\x00\x00\x01")):                "FATAL 08P01: the startup message is invalid",
		string(packet(1234<<16|5678, strings.Repeat("x", 1000))):         "FATAL 08P01: the startup message is invalid",
		string(packet(1234<<16|5678, "\x00\x00\x00\x01\x00\x00\x00z")):   "",
		string(packet(3<<16, "user\x00a\x00\x00")):                       in,
		string(packet(3<<16|2, "user\x00a\x00\x00")):                     "v" + in,
		string(packet(3<<16|9999, "user\x00a\x00\x00")):                  "v" + in,
		string(packet(3<<16, "user\x00a\x00_pq_.x\x00y\x00\x00")):        "v" + in,
		string(packet(3<<16, "user\x00a\x00\x00")) + "P\x00\x00\x00\x04": in + "FATAL 08P01: a message ends before its texts do",
	} {
		got := b.told([]byte(raw))
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%.60q: %s, want %s", raw, got, want)
		}
	}
}

// What a session holds has a bound, whatever it is made of, and closing some of it
// makes room.
func TestSessionsHoldSoMuch(t *testing.T) {
	t.Parallel()
	b := open(t)
	text := strings.Repeat("x", 200_000)
	for name, one := range map[string]func(c *pgproto3.Frontend, i int){
		"statements": func(c *pgproto3.Frontend, i int) {
			c.Send(&pgproto3.Parse{Name: fmt.Sprint("s", i), Query: "SELECT '" + text + "'"})
			c.Send(&pgproto3.Sync{})
		},
		"names": func(c *pgproto3.Frontend, i int) {
			c.Send(&pgproto3.Parse{Name: fmt.Sprint(text, i), Query: "SELECT 1"})
			c.Send(&pgproto3.Sync{})
		},
		"portals": func(c *pgproto3.Frontend, i int) {
			c.Send(&pgproto3.Parse{Query: "SELECT length($1::text)"})
			c.Send(&pgproto3.Bind{DestinationPortal: fmt.Sprint("p", i), Parameters: [][]byte{[]byte(text)}})
			c.Send(&pgproto3.Sync{})
		},
		"cursors": func(c *pgproto3.Frontend, i int) {
			c.Send(&pgproto3.Query{String: fmt.Sprintf("DECLARE c%d CURSOR FOR SELECT '%s'", i, text)})
		},
		"settings": func(c *pgproto3.Frontend, i int) {
			c.Send(&pgproto3.Query{String: fmt.Sprintf("SET a.b%d = '%s'", i, text)})
		},
		"savepoints": func(c *pgproto3.Frontend, i int) {
			c.Send(&pgproto3.Query{String: fmt.Sprintf(`SAVEPOINT "%s%d"`, text, i)})
		},
	} {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		c := pgproto3.NewFrontend(conn, conn)
		refused := func() (message string) {
			t.Helper()
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
			for {
				m, err := c.Receive()
				if err != nil {
					t.Fatal(name, err)
				}
				switch m := m.(type) {
				case *pgproto3.ErrorResponse:
					message = m.Code + " " + m.Message
				case *pgproto3.ReadyForQuery:
					return message
				}
			}
		}
		c.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "a"}})
		refused()
		c.Send(&pgproto3.Query{String: "BEGIN"})
		refused()
		message, n := "", 0
		for ; message == "" && n < 1000; n++ {
			one(c, n)
			message = refused()
		}
		if !strings.HasPrefix(message, "53300 a session may hold") || n < 50 {
			t.Errorf("%s: after %d: %q", name, n, message)
		}
		c.Send(&pgproto3.Query{String: "ROLLBACK; DISCARD ALL"})
		if message := refused(); message != "" {
			t.Errorf("%s: %s", name, message)
		}
		for i := range 5 {
			one(c, 2000+i)
			if message := refused(); message != "" && !strings.Contains(message, "transaction") {
				t.Errorf("%s: when all is closed: %s", name, message)
			}
		}
		conn.Close()
	}
	for until := time.Now().Add(5 * time.Minute); b.door.Held() != 0; { // the last sessions have yet to see the end of their connections
		if err := b.connect("").Ping(t.Context()); err != nil || time.Now().After(until) {
			t.Fatal(b.door.Held(), " bytes are held by nobody ", err)
		}
	}
}

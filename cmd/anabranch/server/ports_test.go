package server

import (
	"net"
	"strings"
	"testing"

	"anabranch/fault"
)

func TestAllPortsInUseAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	taken := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.Addr().String()
	}
	c := Config{Dir: t.TempDir(), Listen: taken(), NATSListen: taken(), TemporalListen: taken(), TemporalUI: "127.0.0.1:0"}
	_, err := Start(t.Context(), c)
	if fault.KindOf(err) != fault.Invalid {
		t.Fatalf("%v is not Invalid", err)
	}
	for _, want := range []string{"--http " + c.Listen, "--nats-listen " + c.NATSListen, "--temporal-listen " + c.TemporalListen} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "--temporal-ui") {
		t.Errorf("%q names a port that is free", err)
	}
}

func TestPortsOfADyingTemporalServerAreWaitedFor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := Config{Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", TemporalListen: l.Addr().String(), TemporalUI: "127.0.0.1:0"}
	if err := c.checkPorts(); err != nil {
		t.Errorf("given up before Temporal was started: %v", err)
	}
}

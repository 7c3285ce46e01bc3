package natslog

import "testing"

// TestEverythingIsSynced: an acknowledgement of a server that does not sync
// each message is a promise that a power cut breaks.
func TestEverythingIsSynced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if !jetStreamConfig(Options{Dir: dir}).SyncAlways {
		t.Error("streams that are opened again do not sync")
	}
	o, err := Options{Dir: dir}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s, err := startServer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	if !s.JetStreamConfig().SyncAlways {
		t.Error("the server does not sync")
	}
}

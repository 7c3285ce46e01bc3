package main

import "testing"

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"512MiB": "512MiB", "2GiB": "2GiB", "0.5GiB": "512MiB", "1024": "1KiB", "1KB": "1000", "7": "7", "3B": "3", "0": "0", "1536 MiB": "1536MiB",
		"x": "", "-1": "", "MiB": "", "1e30": "", "NaN": "", "5 parsecs": "",
	} {
		var s size
		if err := s.Set(text); (err != nil) != (want == "") || err == nil && s.String() != want {
			t.Errorf("%q is %s, %v; want %q", text, s.String(), err, want)
		}
	}
}

//go:build planted

package planted

import "os"

var chosen = Fault(os.Getenv(Env))

// On says whether the fault was chosen.
func On(f Fault) bool { return f == chosen }

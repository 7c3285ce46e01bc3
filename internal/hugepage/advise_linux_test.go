package hugepage

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// TestAdvised finds the large pages that were asked for in what the system says of the
// process.
func TestAdvised(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no transparent large pages")
	}
	s := Advise(make([]byte, 3*least))
	from := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	advised := uintptr(0)
	for _, m := range mappings(t) {
		low, high := max(m.from, from), min(m.to, from+uintptr(len(s)))
		if m.large && low < high {
			advised += high - low
		}
	}
	if least := uintptr(3*least - size); advised < least {
		t.Errorf("%d bytes of %d are advised, at least %d are whole pages", advised, len(s), least)
	}
}

type mapping struct {
	from, to uintptr
	large    bool
}

// mappings reads /proc/self/smaps.
func mappings(t *testing.T) (out []mapping) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skipf("what was asked for cannot be seen: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var m mapping
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && len(out) > 0 {
			out[len(out)-1].large = strings.Contains(flags+" ", " hg ")
		} else if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &m.from, &m.to); n == 2 {
			out = append(out, m)
		}
	}
	return out
}

package smalldisk

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// TestFillBesideWriters fills a disk on which others write all the time: they
// must find it full, and it must stay so until it is freed.
func TestFillBesideWriters(t *testing.T) {
	disk, done, why := Mount(t, 64<<20)
	if done {
		return
	}
	if why != "" {
		t.Skip(why)
	}
	for round := range 30 {
		begun, stop := make(chan struct{}, 2), make(chan struct{})
		var writers sync.WaitGroup
		for n := range 2 {
			f, err := os.Create(filepath.Join(disk.Dir, string(rune('a'+n))))
			if err != nil {
				t.Fatal(err)
			}
			writers.Go(func() {
				defer f.Close()
				page := make([]byte, 4096)
				for wrote := 0; ; wrote++ {
					select {
					case <-stop:
						return
					default:
					}
					_, _ = f.Write(page) // fails when there is no room
					if wrote == 0 {
						begun <- struct{}{}
					}
					if wrote%1024 == 1023 {
						_ = f.Truncate(0)
						_, _ = f.Seek(0, 0)
					}
				}
			})
		}
		<-begun
		<-begun
		err := disk.Fill(0)
		close(stop)
		writers.Wait()
		if err != nil {
			t.Fatal(err)
		}
		var st syscall.Statfs_t
		if err := syscall.Statfs(disk.Dir, &st); err != nil {
			t.Fatal(err)
		}
		// What the writers gave back since is theirs to take again.
		if free := int64(st.Bavail) * int64(st.Bsize); free > 12<<20 {
			t.Fatalf("round %d: %d bytes are free on a full disk", round, free)
		}
		if err := disk.Free(); err != nil {
			t.Fatal(err)
		}
	}
}

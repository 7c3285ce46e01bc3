//go:build unix

package buckettest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// S3 is a running S3 server.
type S3 struct {
	Endpoint, Region, AccessKey, SecretKey string
}

// SkipS3 is the environment variable that, set to 1, leaves out the tests
// that need an S3 server.
const SkipS3 = "ANABRANCH_SKIP_S3"

// StartS3 starts a versitygw process on a loopback port, with its files in a
// temp folder, and stops it at the end of the test. The program is built from
// tools/versitygw on first use and kept in the user's cache folder; when that
// is not possible the test fails, it is not skipped.
func StartS3(t testing.TB) S3 {
	t.Helper()
	if os.Getenv(SkipS3) == "1" {
		t.Skipf("SKIPPED BY %s=1: %s, nothing is known about S3", SkipS3, t.Name())
	}
	program, err := BuildVersitygw()
	if err != nil {
		t.Fatalf("build versitygw: %v\nit needs the Go module proxy once; %s=1 leaves the S3 tests out", err, SkipS3)
	}
	s := S3{Region: "us-east-1", AccessKey: "anabranch", SecretKey: "only-for-tests"}
	for attempt := 1; ; attempt++ {
		if err = s.start(t, program); err == nil {
			return s
		}
		if attempt == 3 {
			t.Fatalf("start versitygw: %v", err)
		}
	}
}

// start runs the program on a port that was free a moment ago.
func (s *S3) start(t testing.TB, program string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "--port", address, "--access", s.AccessKey, "--secret", s.SecretKey,
		"--region", s.Region, "--health", "/health", "--quiet", "posix", t.TempDir())
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = []string{} // nothing of the tester's settings
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// Another process's readiness has no signal but its answer.
	deadline := time.Now().Add(5 * time.Minute)
	for time.Now().Before(deadline) {
		select {
		case err := <-ended:
			return fmt.Errorf("it ended: %w\n%s", err, out.Bytes())
		case <-time.After(10 * time.Millisecond):
		}
		answer, err := http.Get("http://" + address + "/health")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			s.Endpoint = "http://" + address
			t.Cleanup(func() {
				cmd.Process.Kill()
				<-ended
			})
			return nil
		}
	}
	cmd.Process.Kill()
	<-ended
	return fmt.Errorf("it does not answer on %s\n%s", address, out.Bytes())
}

// BuildVersitygw returns the path of the versitygw program, building it when
// the cache has none of this version.
func BuildVersitygw() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	tool := filepath.Join(root, "tools", "versitygw")
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(tool, name))
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "anabranch", "versitygw")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	program := filepath.Join(dir, fmt.Sprintf("versitygw-%x-%s", sum.Sum(nil)[:6], runtime.Version()))
	// Several test programs may want it at once: one builds, the others wait.
	lock, err := os.OpenFile(program+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(program); err == nil || !errors.Is(err, os.ErrNotExist) {
		return program, err
	}
	build := exec.Command("go", "build", "-C", tool, "-trimpath", "-ldflags=-s -w", "-o", program+".new", "github.com/versity/versitygw/cmd/versitygw")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return program, os.Rename(program+".new", program)
}

// moduleRoot is the folder of the go.mod above the running test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "tools", "versitygw", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no folder above the test has tools/versitygw")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

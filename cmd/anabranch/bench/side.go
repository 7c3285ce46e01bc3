package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"anabranch/fault"
)

// Task says what one process does. It is its only argument, as JSON.
type Task struct {
	Job     string // a name of jobs
	Dir     string // of all data
	Data    Data   // Kind, Seed, Events
	Example string // folder of the retail pipeline
	Views   []string
	Cores   int
	Own     string // a folder for files of its own
	Profile string // file for a profile of its processor time; empty: none
}

// job is something that can be done again and again.
type job interface {
	// run does it once and returns how many events it took.
	run(ctx context.Context) (events int64, err error)
	// answer writes what the last run found to a Parquet file for each view,
	// in the order of Task.Views.
	answer(ctx context.Context, paths []string) error
	close()
}

// jobs are what a Task may name.
var jobs = map[string]func(context.Context, *Task) (job, error){
	"fold": newFoldJob, "duckdb": newDuckJob,
	"distinct": newDistinctJob, "duckdb-distinct": newDuckDistinctJob, "compact": newCompactJob,
	"publish": newPublishJob, "query": newQueryJob,
	"load": newLoadJob, "decode": newDecodeJob, "frames": newFramesJob,
}

// took is what one run took.
type took struct {
	Wall, CPU float64 // seconds
	Events    int64
	Peak      int64 // bytes resident at most, since the process began
	Figures   map[string]float64
	Err       string
}

// figured is a job that has more to tell of its last run.
type figured interface{ figures() map[string]float64 }

// tidied is a job whose last run leaves something that the next one must not
// pay for.
type tidied interface{ tidy(context.Context) error }

// Side is the process of one side: it reads "run", "do <order>" or "answer <paths>" and
// answers each with a line, until its input ends.
func Side(ctx context.Context, task string, in io.Reader, out io.Writer) error {
	var t Task
	if err := json.Unmarshal([]byte(task), &t); err != nil {
		return fault.New(fault.Invalid, "read the task: %w", err)
	}
	begin, ok := jobs[t.Job]
	if !ok {
		return fault.New(fault.Invalid, "there is no job %q", t.Job)
	}
	if t.Cores > 0 {
		runtime.GOMAXPROCS(t.Cores)
	}
	j, err := begin(ctx, &t)
	if err != nil {
		return err
	}
	defer j.close()
	if t.Profile != "" {
		f, err := os.Create(t.Profile)
		if err != nil {
			return fault.Wrap(fault.Invalid, err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fault.Wrap(fault.Bug, err)
		}
		defer pprof.StopCPUProfile()
	}
	lines := bufio.NewScanner(in)
	reply := json.NewEncoder(out)
	for lines.Scan() {
		var r took
		if paths, ok := strings.CutPrefix(lines.Text(), "answer "); ok {
			err = j.answer(ctx, strings.Fields(paths))
		} else if order, ok := strings.CutPrefix(lines.Text(), "do "); ok {
			r, err = obey(ctx, j, order)
		} else {
			r, err = measure(ctx, j)
		}
		if err != nil {
			r.Err = err.Error()
		}
		if err := reply.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}

// obedient is a job that is told what to do each time.
type obedient interface {
	obey(ctx context.Context, order string) (took, error)
}

func obey(ctx context.Context, j job, order string) (took, error) {
	o, ok := j.(obedient)
	if !ok {
		return took{}, fault.New(fault.Bug, "the job takes no orders")
	}
	return o.obey(ctx, order)
}

// measure runs j once, after what the run before has left was collected. Both
// sides keep the memory that they have had from the system.
func measure(ctx context.Context, j job) (took, error) {
	runtime.GC()
	if t, ok := j.(tidied); ok {
		if err := t.tidy(ctx); err != nil {
			return took{}, err
		}
	}
	before := processorTime()
	began := time.Now()
	events, err := j.run(ctx)
	t := took{Wall: time.Since(began).Seconds(), CPU: processorTime() - before, Events: events, Peak: peak()}
	if f, ok := j.(figured); ok && err == nil {
		t.Figures = f.figures()
	}
	return t, err
}

// processorTime returns the seconds of processor time that this process has
// had, in its own code and in the system's.
func processorTime() float64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

func peak() int64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return r.Maxrss << 10 // Linux counts KiB
}

// process is a running Side.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	own string
}

// start starts a command that talks as Side does.
func start(ctx context.Context, own string, command ...string) (*process, error) {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stderr = os.Stderr
	p := &process{cmd: c, own: own}
	var err error
	if p.in, err = c.StdinPipe(); err != nil {
		return nil, fault.Wrap(fault.Transient, err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err)
	}
	p.out = bufio.NewScanner(out)
	if err := c.Start(); err != nil {
		return nil, fault.New(fault.Transient, "start %s: %w", filepath.Base(command[0]), err)
	}
	return p, nil
}

// startTask starts this program as the side that does t.
func startTask(ctx context.Context, self []string, t Task) (*process, error) {
	own, err := os.MkdirTemp(t.Dir, "side-")
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err)
	}
	t.Own = own
	text, err := json.Marshal(t)
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	return start(ctx, own, append(append([]string{}, self...), string(text))...)
}

// ask sends a line and returns the answer.
func (p *process) ask(line string) (took, error) {
	var t took
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return t, fault.New(fault.Transient, "ask a side: %w", err)
	}
	if !p.out.Scan() {
		return t, fault.New(fault.Transient, "a side has ended: its last words are above (%w)", io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(p.out.Bytes(), &t); err != nil {
		return t, fault.New(fault.Bug, "read what a side says: %w", err)
	}
	if t.Err != "" {
		return t, fault.New(fault.Invalid, "%s", t.Err)
	}
	return t, nil
}

// stop ends the process and removes its folder.
func (p *process) stop() {
	p.in.Close()
	// It has answered all it was asked; how it ends says nothing.
	_ = p.cmd.Wait()
	if p.own != "" {
		os.RemoveAll(p.own)
	}
}

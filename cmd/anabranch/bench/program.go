package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

// program is the whole system as a process of its own, with the payments as
// its only pipeline and no batches.
type program struct {
	binary, dir string
	cmd         *exec.Cmd
	at          api.Addresses
	client      *client.Client
}

const (
	systemPipeline = "pay"
	systemEvents   = "/v1/pipelines/" + systemPipeline + "/events"
)

var systemFiles = map[string]string{
	"pipeline.yaml":  "pipeline: " + systemPipeline + "\nsource: {format: ndjson}\nevent:\n  id: {field: event_id}\n  time: ts\n  key: [card]\npartitions: 4\nlateness: 7d\n",
	"schema.avsc":    paymentsAvro,
	"views/live.sql": live.SQL + "\n",
}

// startProgram starts the program on its folder and waits until it listens.
func startProgram(ctx context.Context, binary, dir string) (*program, error) {
	p := &program{binary: binary, dir: dir}
	return p, p.start(ctx)
}

func (p *program) start(ctx context.Context) error {
	addresses := filepath.Join(p.dir, "addresses.json")
	if err := os.RemoveAll(addresses); err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	p.cmd = exec.CommandContext(ctx, p.binary, "dev", "--dir", p.dir, "--http", "127.0.0.1:0", "--pg", "none", "--flight", "none",
		"--nats-listen", "127.0.0.1:0", "--temporal-address", "none", "--log", "error")
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return fault.New(fault.Transient, "start the program: %w", err)
	}
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(addresses)
		if err == nil && json.Unmarshal(text, &p.at) == nil && p.at.PID == p.cmd.Process.Pid {
			p.client = client.New(p.at.HTTP)
			return nil
		}
	}
	p.kill()
	return fault.New(fault.Transient, "the program does not listen after two minutes")
}

func (p *program) apply(ctx context.Context) error {
	return p.client.JSON(ctx, http.MethodPost, "/v1/pipelines", api.Apply{Files: systemFiles}, nil)
}

// kill ends the process at once, as a power switch does.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()
}

// cpu returns the seconds of processor time that the program has had.
func (p *program) cpu() (float64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0, fault.Wrap(fault.Transient, err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const user, system, ticks = 11, 12, 100 // proc(5); USER_HZ is 100 everywhere
	u, err := strconv.ParseFloat(fields[user], 64)
	if err != nil {
		return 0, fault.Wrap(fault.Bug, err)
	}
	s, err := strconv.ParseFloat(fields[system], 64)
	return (u + s) / ticks, err
}

// counted returns how many events the view has counted, the probes left out.
func (p *program) counted(ctx context.Context) (int64, error) {
	var answer struct {
		Rows [][]json.Number `json:"rows"`
	}
	err := p.client.JSON(ctx, http.MethodPost, "/v1/query", map[string]string{"sql": "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM " + systemPipeline + ".live WHERE merchant NOT LIKE 'probe%'"}, &answer)
	if err != nil {
		return 0, err
	}
	if len(answer.Rows) != 1 || len(answer.Rows[0]) != 1 {
		return 0, fault.New(fault.Bug, "the sum of a view is %v", answer.Rows)
	}
	return answer.Rows[0][0].Int64()
}

// awaitCounted waits until exactly want events are counted.
func (p *program) awaitCounted(ctx context.Context, want int64) error {
	var got int64
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		n, err := p.counted(ctx)
		if got = n; err == nil && got == want {
			return nil
		}
		if got > want {
			break
		}
	}
	return fault.New(fault.Bug, "%d different events were acknowledged, %d are counted", want, got)
}

// probe sends one event and returns how long after its acknowledgement a lookup
// has it.
func (p *program) probe(ctx context.Context, n int) (time.Duration, error) {
	name := "probe" + strconv.Itoa(n)
	body := `{"event_id":"` + name + `","ts":"2026-01-05T00:00:00Z","card":"c","merchant":"` + name + `","category":"x","amount":1.00,"country":null,"online":true}`
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	if err := drain(p.client.Do(ctx, http.MethodPost, systemEvents, header, []byte(body+"\n"))); err != nil {
		return 0, err
	}
	began := time.Now()
	for time.Since(began) < time.Minute {
		var found struct {
			Rows []json.RawMessage `json:"rows"`
		}
		if err := p.client.JSON(ctx, http.MethodGet, "/v1/views/"+systemPipeline+".live?key.merchant="+name, nil, &found); err != nil {
			return 0, err
		}
		if len(found.Rows) > 0 {
			return time.Since(began), nil
		}
	}
	return 0, fault.New(fault.Bug, "an acknowledged event is not seen after a minute")
}

func drain(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// stateBytes returns how much the program keeps outside of the object store.
func (p *program) stateBytes() (sum int64, err error) {
	for _, part := range []string{"log", "speed"} {
		err = filepath.WalkDir(filepath.Join(p.dir, part), func(_ string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			if err == nil {
				sum += info.Size()
			}
			return err
		})
		if err != nil {
			return 0, fault.Wrap(fault.Transient, err)
		}
	}
	return sum, nil
}

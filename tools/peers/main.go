// Command peers is the other side of rows of `anabranch bench` whose library
// is not among the program's own dependencies. It reads "run" from its input,
// does the task once, and answers with a line, as bench.Side does.
//
//	peers sonic FILE    decode the NDJSON events of FILE into structs
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/bytedance/sonic"
)

// payment is an event as sonic likes it best: no time to parse, no decimal to
// keep exact, no identity to hash, texts that point into the body.
type payment struct {
	EventID  string  `json:"event_id"`
	Time     string  `json:"ts"`
	Card     string  `json:"card"`
	Merchant string  `json:"merchant"`
	Category string  `json:"category"`
	Amount   float64 `json:"amount"`
	Country  *string `json:"country"`
	Online   bool    `json:"online"`
}

type took struct {
	Wall, CPU float64
	Events    int64
	Figures   map[string]float64
	Err       string
}

func main() {
	if len(os.Args) != 3 || os.Args[1] != "sonic" {
		fmt.Fprintln(os.Stderr, "usage: peers sonic FILE")
		os.Exit(2)
	}
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	runtime.GOMAXPROCS(1)
	lines, reply := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		runtime.GC()
		t := took{Figures: map[string]float64{}}
		before, began := processorTime(), time.Now()
		sum, err := decode(body, &t.Events)
		t.Wall, t.CPU = time.Since(began).Seconds(), processorTime()-before
		t.Figures["sum"] = sum
		if err != nil {
			t.Err = err.Error()
		}
		if reply.Encode(t) != nil {
			return
		}
	}
}

// decode returns the sum of all amounts in cents.
func decode(body []byte, events *int64) (sum float64, err error) {
	for len(body) > 0 {
		n := bytes.IndexByte(body, '\n')
		var p payment
		if err := sonic.ConfigFastest.Unmarshal(body[:n], &p); err != nil {
			return 0, err
		}
		sum += math.Round(p.Amount * 100)
		*events++
		body = body[n+1:]
	}
	return sum, nil
}

func processorTime() float64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

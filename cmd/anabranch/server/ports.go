package server

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"anabranch/fault"
)

// untilLetGo tries fn for a moment: a process that was killed has its locks
// and ports until the kernel has taken its memory apart, and its successor may
// be quicker than that.
func untilLetGo(fn func() error) error {
	for until := time.Now().Add(2 * time.Second); ; {
		err := fn()
		if err == nil || time.Now().After(until) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// address is where something of ours wants to listen, and the flag that says
// so.
type address struct{ flag, at string }

// ownAddresses are those that end with this process.
func (c *Config) ownAddresses() []address {
	all := []address{{"--http", c.Listen}}
	all = append(all, c.doors()...)
	if c.NATS == "" {
		all = append(all, address{"--nats-listen", c.NATSListen})
	}
	return all
}

// childAddresses are those of our own Temporal server. One whose parent was
// killed has them for some seconds more, which a new one waits for: that they
// are in use is no reason to give up at once.
func (c *Config) childAddresses() []address {
	if c.Temporal != "" {
		return nil
	}
	return []address{{"--temporal-listen", c.TemporalListen}, {"--temporal-ui", c.TemporalUI}}
}

// checkPorts tells of every address that is in use, so that they can be
// changed together.
func (c *Config) checkPorts() error {
	if err := untilLetGo(func() error { return portsInUse(c.ownAddresses()) }); err == nil {
		return nil
	}
	return portsInUse(append(c.ownAddresses(), c.childAddresses()...))
}

// portsInUse names the addresses that somebody listens on.
func portsInUse(all []address) error {
	var taken []string
	for _, a := range all {
		l, err := net.Listen("tcp", a.at)
		if err == nil {
			l.Close()
		} else if errors.Is(err, syscall.EADDRINUSE) {
			taken = append(taken, a.flag+" "+a.at)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "in use already: %s; is another anabranch running? stop it, or give this one other addresses: port 0 picks a free one", strings.Join(taken, ", "))
}

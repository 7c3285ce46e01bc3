package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// host is the only interface anything here listens on.
const host = "127.0.0.1"

// ports are the ports of the server's parts. They are held by listeners until
// release, so that choosing them all never yields one twice.
type ports struct {
	frontend, frontendHTTP, history, matching, worker, ui int
	held                                                  []net.Listener
}

// choosePorts takes the ports asked for and free ones for the rest.
func choosePorts(opts options) (*ports, error) {
	p := &ports{}
	for _, want := range []struct {
		to   *int
		port int
		flag string
	}{
		{&p.frontend, opts.Port, "--port"},
		{&p.ui, opts.UIPort, "--ui-port"},
		{&p.frontendHTTP, 0, ""}, {&p.history, 0, ""}, {&p.matching, 0, ""}, {&p.worker, 0, ""},
	} {
		l, err := net.Listen("tcp", address(want.port))
		if err != nil {
			p.release()
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("port %d is in use: give %s another port, or 0 for a free one", want.port, want.flag)
			}
			return nil, fmt.Errorf("listen on %s: %w", address(want.port), err)
		}
		p.held = append(p.held, l)
		*want.to = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

// release frees the ports for the parts that are about to listen on them.
func (p *ports) release() {
	for _, l := range p.held {
		_ = l.Close()
	}
	p.held = nil
}

func (p *ports) frontendAddress() string { return address(p.frontend) }
func (p *ports) uiURL() string           { return "http://" + address(p.ui) }

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

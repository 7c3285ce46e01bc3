package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"golang.org/x/net/netutil"

	"anabranch/fault"
	"anabranch/serving/flightsql"
	"anabranch/serving/users"
)

func (c *Config) hasFlight() bool { return c.has(RoleSpeed) && c.Flight != "" && c.Flight != noDoor }

// startFlight opens the Arrow Flight SQL door, where one is asked for.
func (s *Server) startFlight(t *tls.Config, u *users.Users) error {
	c := s.config
	if !c.hasFlight() {
		return nil
	}
	o := flightsql.Options{TLS: t, Version: c.Code, Logger: c.Logger}
	if u != nil {
		o.Users = u
	}
	l, err := net.Listen("tcp", c.Flight)
	if err != nil {
		return fault.Wrap(fault.Invalid, fmt.Errorf("open the Flight SQL door, --flight %s: %w", c.Flight, err))
	}
	door, err := flightsql.New(s.engine, o)
	if err != nil {
		l.Close()
		return err
	}
	s.flight = door
	scheme := "grpc://"
	if t != nil {
		scheme = "grpc+tls://"
	}
	s.address.Flight = scheme + l.Addr().String()
	l = netutil.LimitListener(l, s.memory.connections(openFiles()))
	s.loop.Go(func(context.Context) {
		if err := door.Serve(l); err != nil {
			s.failed <- fmt.Errorf("serve Flight SQL clients: %w", err)
		}
	})
	return nil
}

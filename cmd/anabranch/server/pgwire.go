package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/user"

	"anabranch/fault"
	"anabranch/serving/pgwire"
	"anabranch/serving/users"
)

// noDoor is an address for a door that there shall not be.
const noDoor = "none"

func (c *Config) hasPG() bool { return c.has(RoleSpeed) && c.PG != "" && c.PG != noDoor }

// validateDoors refuses what would let strangers in.
func (c *Config) validateDoors() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fault.New(fault.Invalid, "--tls-cert and --tls-key belong together: give both or none")
	}
	if c.TrustNetwork || c.TLSCert != "" && c.Users != "" {
		return nil
	}
	for _, d := range c.doors() {
		if !loopback(d.at) {
			return fault.New(fault.Invalid, "%s %s is not a loopback address: nothing listens beyond loopback without TLS and authentication; give --tls-cert, --tls-key and --users as well", d.flag, d.at)
		}
	}
	return nil
}

// doors are those that are asked for.
func (c *Config) doors() (all []address) {
	if c.hasPG() {
		all = append(all, address{"--pg", c.PG})
	}
	if c.hasFlight() {
		all = append(all, address{"--flight", c.Flight})
	}
	return all
}

// doorKeys reads the certificate and the users of the doors; nil where there
// are none.
func (c *Config) doorKeys() (*tls.Config, *users.Users, error) {
	var t *tls.Config
	var u *users.Users
	if c.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, nil, fault.Wrap(fault.Invalid, fmt.Errorf("read --tls-cert and --tls-key: %w", err))
		}
		t = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	if c.Users != "" {
		var err error
		if u, err = users.Load(c.Users); err != nil {
			return nil, nil, fmt.Errorf("--users: %w", err)
		}
	}
	return t, u, nil
}

// startDoors opens the doors that are asked for, besides HTTP.
func (s *Server) startDoors(ctx context.Context) error {
	if len(s.config.doors()) == 0 {
		return nil
	}
	t, u, err := s.config.doorKeys()
	if err != nil {
		return err
	}
	return errors.Join(s.startPG(ctx, t, u), s.startFlight(t, u))
}

// startPG opens the PostgreSQL door, where one is asked for.
func (s *Server) startPG(ctx context.Context, t *tls.Config, u *users.Users) error {
	c := s.config
	if !c.hasPG() {
		return nil
	}
	door, err := pgwire.New(ctx, s.engine, pgwire.Options{TLS: t, MustTLS: t != nil && !loopback(c.PG), Users: u, Version: c.Code, Logger: c.Logger,
		MaxConns: s.memory.connections(openFiles())})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.PG)
	if err != nil {
		door.Close()
		return fault.Wrap(fault.Invalid, fmt.Errorf("open the PostgreSQL door, --pg %s: %w", c.PG, err))
	}
	s.pg = door
	s.address.PG = pgURL(l.Addr().String(), t != nil && !loopback(c.PG))
	s.loop.Go(func(context.Context) {
		if err := door.Serve(l); err != nil {
			s.failed <- fmt.Errorf("serve PostgreSQL clients: %w", err)
		}
	})
	return nil
}

// pgURL is what psql is given to ask here.
func pgURL(address string, secure bool) string {
	if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
		address = net.JoinHostPort("localhost", port)
	}
	u := url.URL{Scheme: "postgres", Host: address, Path: pgwire.Database}
	if me, err := user.Current(); err == nil {
		u.User = url.User(me.Username)
	}
	if secure {
		u.RawQuery = "sslmode=require"
	}
	return u.String()
}

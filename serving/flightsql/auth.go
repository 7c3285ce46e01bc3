package flightsql

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"anabranch/fault"
	"anabranch/internal/clock"
)

type userKey struct{}

// userOf is who asks; "" where nobody has to say.
func userOf(ctx context.Context) string {
	name, _ := ctx.Value(userKey{}).(string)
	return name
}

const authorization = "authorization"

// identify finds out who makes a call: by name and password (Basic), or by what
// a handshake gave for them (Bearer).
func (d *Door) identify(ctx context.Context) (context.Context, error) {
	if d.o.Users == nil {
		return ctx, nil
	}
	scheme, rest := credentialsOf(ctx)
	switch scheme {
	case "bearer":
		name, ok := d.tokens.check(rest)
		if !ok {
			return ctx, unauthenticated("the bearer token is over, or none of this server's: make the handshake again")
		}
		return context.WithValue(ctx, userKey{}, name), nil
	case "basic":
		name, err := d.login(rest)
		return context.WithValue(ctx, userKey{}, name), err
	}
	return ctx, unauthenticated("who asks? give a user name and a password, or a bearer token")
}

// handshake gives a bearer token for a name and a password.
func (d *Door) handshake(s grpc.ServerStream) error {
	name := ""
	if d.o.Users != nil {
		scheme, rest := credentialsOf(s.Context())
		if scheme != "basic" {
			return unauthenticated("a handshake wants a user name and a password in the header authorization (Basic)")
		}
		var err error
		if name, err = d.login(rest); err != nil {
			return err
		}
	}
	md := metadata.Pairs(authorization, "Bearer "+d.tokens.make(name))
	if err := s.SetHeader(md); err != nil {
		return err
	}
	s.SetTrailer(md)
	return nil
}

// credentialsOf splits the header authorization.
func credentialsOf(ctx context.Context) (scheme, rest string) {
	md, _ := metadata.FromIncomingContext(ctx)
	all := md.Get(authorization)
	if len(all) == 0 {
		return "", ""
	}
	scheme, rest, _ = strings.Cut(all[0], " ")
	return strings.ToLower(scheme), strings.TrimSpace(rest)
}

// login checks "name:password" in base64.
func (d *Door) login(text string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(text)
	}
	name, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok {
		return "", unauthenticated("the header authorization is not Basic and name:password in base64")
	}
	if !d.o.Users.Check(name, password) {
		return "", unauthenticated("no user has that name and that password")
	}
	return name, nil
}

func unauthenticated(text string) error {
	return fault.WithCode(fault.New(fault.Denied, "%s", text), "password")
}

// tokens are signed, not kept: they are good until their time is over or the
// program is started again.
type tokens struct {
	clock clock.Clock
	life  time.Duration
	key   []byte
}

func newTokens(c clock.Clock, life time.Duration) (tokens, error) {
	t := tokens{c, life, make([]byte, 32)}
	if _, err := rand.Read(t.key); err != nil {
		return t, fault.Wrap(fault.Bug, err)
	}
	return t, nil
}

// make returns a token: until when, the name, and a signature of both.
func (t tokens) make(name string) string {
	body := append(binary.BigEndian.AppendUint64(nil, uint64(t.clock.Now().Add(t.life).Unix())), name...)
	return base64.RawURLEncoding.EncodeToString(append(body, t.sign(body)...))
}

func (t tokens) check(token string) (name string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 8+sha256.Size {
		return "", false
	}
	body, signature := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if !hmac.Equal(signature, t.sign(body)) || t.clock.Now().Unix() >= int64(binary.BigEndian.Uint64(body)) {
		return "", false
	}
	return string(body[8:]), true
}

func (t tokens) sign(body []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	h.Write(body)
	return h.Sum(nil)
}

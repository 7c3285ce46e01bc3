// Package users knows who may ask: names with SCRAM-SHA-256 verifiers, from
// which a password can be checked and not be found.
package users

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"anabranch/fault"
)

// iterations of new verifiers, as PostgreSQL has them.
const iterations = 4096

// Users are those of one file. It never changes.
type Users struct {
	byName map[string]scram.StoredCredentials
	secret []byte // makes up salts for names that are not there
}

// Load reads a file of users: a line for each, as [Line] writes it. Empty
// lines and those that begin with # are left out.
func Load(path string) (*Users, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, fmt.Errorf("read the users: %w", err))
	}
	defer f.Close()
	return Read(f, path)
}

// Read reads users as [Load] does; name is the file's, for errors.
func Read(r io.Reader, name string) (*Users, error) {
	u := &Users{byName: map[string]scram.StoredCredentials{}, secret: make([]byte, 32)}
	if _, err := rand.Read(u.secret); err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		user, verifier, _ := strings.Cut(line, ":")
		c, err := parse(verifier)
		if err != nil || user == "" {
			return nil, fault.New(fault.Invalid, "%s:%d: want NAME:SCRAM-SHA-256$4096:SALT$STORED:SERVER, as `anabranch user NAME` prints it", name, n)
		}
		if _, twice := u.byName[user]; twice {
			return nil, fault.New(fault.Invalid, "%s:%d: user %q is there twice", name, n, user)
		}
		u.byName[user] = c
	}
	if err := lines.Err(); err != nil {
		return nil, fault.Wrap(fault.Invalid, fmt.Errorf("read the users: %w", err))
	}
	if len(u.byName) == 0 {
		return nil, fault.New(fault.Invalid, "%s names no users: `anabranch user NAME >> %s` adds one", name, name)
	}
	return u, nil
}

func parse(verifier string) (c scram.StoredCredentials, err error) {
	rest, ok := strings.CutPrefix(verifier, "SCRAM-SHA-256$")
	factors, keys, ok2 := strings.Cut(rest, "$")
	count, salt, ok3 := strings.Cut(factors, ":")
	stored, server, ok4 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 || !ok4 {
		return c, fault.New(fault.Invalid, "not a verifier")
	}
	if c.Iters, err = strconv.Atoi(count); err != nil || c.Iters < 1 {
		return c, fault.New(fault.Invalid, "iterations %q", count)
	}
	text, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return c, err
	}
	c.Salt = string(text)
	if c.StoredKey, err = base64.StdEncoding.DecodeString(stored); err != nil {
		return c, err
	}
	c.ServerKey, err = base64.StdEncoding.DecodeString(server)
	if err == nil && (len(c.StoredKey) != sha256.Size || len(c.ServerKey) != sha256.Size || c.Salt == "") {
		err = fault.New(fault.Invalid, "keys of %d and %d bytes", len(c.StoredKey), len(c.ServerKey))
	}
	return c, err
}

// Line is the line of a user with this password.
func Line(name, password string) (string, error) {
	if name == "" || strings.ContainsAny(name, ":\n\r\t ") || name[0] == '#' {
		return "", fault.New(fault.Invalid, "user %q: want a name without spaces and colons", name)
	}
	if password == "" {
		return "", fault.New(fault.Invalid, "the password of %s is empty", name)
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fault.Wrap(fault.Bug, err)
	}
	c, err := derive(password, scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return "", err
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s:SCRAM-SHA-256$%d:%s$%s:%s", name, c.Iters, b64(salt), b64(c.StoredKey), b64(c.ServerKey)), nil
}

func derive(password string, f scram.KeyFactors) (scram.StoredCredentials, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil { // not to be prepared as text: PostgreSQL takes the bytes then
		client, err = scram.SHA256.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return scram.StoredCredentials{}, fault.Wrap(fault.Invalid, fmt.Errorf("password: %w", err))
	}
	c, err := client.GetStoredCredentialsWithError(f)
	return c, fault.Wrap(fault.Bug, err)
}

// Check reports whether name has this password, for doors that are told it.
func (u *Users) Check(name, password string) bool {
	c := u.lookup(name)
	got, err := derive(password, c.KeyFactors)
	return err == nil && hmac.Equal(got.StoredKey, c.StoredKey)
}

// Conversation begins a SCRAM exchange with name.
func (u *Users) Conversation(name string) (*scram.ServerConversation, error) {
	s, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return u.lookup(name), nil })
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	return s.NewConversation(), nil
}

// lookup returns what is stored of name. One that is not there has a verifier
// that no password fits and always the same salt, so that nobody learns which
// names there are.
func (u *Users) lookup(name string) scram.StoredCredentials {
	if c, ok := u.byName[name]; ok {
		return c
	}
	made := func(of string) []byte {
		h := hmac.New(sha256.New, u.secret)
		h.Write([]byte(of + name))
		return h.Sum(nil)
	}
	return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(made("salt:")[:16]), Iters: iterations}, StoredKey: made("stored:"), ServerKey: made("server:")}
}

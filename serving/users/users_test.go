package users

import (
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"anabranch/fault"
)

func load(t *testing.T, text string) *Users {
	t.Helper()
	u, err := Read(strings.NewReader(text), "users")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOnlyThePasswordFits(t *testing.T) {
	t.Parallel()
	line, err := Line("ada", "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(line, "horse") {
		t.Fatal("the password is readable:", line)
	}
	u := load(t, "# people\n\n"+line+"\n")
	for _, c := range []struct {
		name, password string
		want           bool
	}{{"ada", "correct horse", true}, {"ada", "wrong", false}, {"eve", "correct horse", false}, {"", "", false}} {
		if got := u.Check(c.name, c.password); got != c.want {
			t.Errorf("Check(%q, %q) = %v", c.name, c.password, got)
		}
		if got := converse(t, u, c.name, c.password); got != c.want {
			t.Errorf("SCRAM as %q with %q: %v", c.name, c.password, got)
		}
	}
}

// converse plays both sides.
func converse(t *testing.T, u *Users, name, password string) bool {
	t.Helper()
	client, err := scram.SHA256.NewClient("", password, "") // clients of PostgreSQL leave the name out here
	if err != nil {
		t.Fatal(err)
	}
	c, err := u.Conversation(name)
	if err != nil {
		t.Fatal(err)
	}
	cc := client.NewConversation()
	text := ""
	for !c.Done() {
		if text, err = cc.Step(text); err != nil {
			return false
		}
		if text, err = c.Step(text); err != nil {
			return false
		}
	}
	return c.Valid()
}

// The verifier of "pencil" from RFC 7677, in PostgreSQL's spelling.
func TestPostgresVerifier(t *testing.T) {
	t.Parallel()
	u := load(t, "user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n")
	if !u.Check("user", "pencil") || u.Check("user", "pencils") {
		t.Fatal("the verifier of RFC 7677 does not fit its password")
	}
}

func TestDamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	good, _ := Line("ada", "x")
	for _, text := range []string{"", "ada:secret\n", "ada\n", good[:len(good)-3] + "\n", good + "\n" + good + "\n", strings.Replace(good, "4096", "0", 1)} {
		if _, err := Read(strings.NewReader(text), "users"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "users") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

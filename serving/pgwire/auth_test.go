package pgwire_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"anabranch/serving/pgwire"
	"anabranch/serving/users"
)

// certificate makes one for 127.0.0.1 and writes it to a file to trust.
func certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

func TestPasswordsAndTLS(t *testing.T) {
	t.Parallel()
	line, err := users.Line("ada", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	cert, root := certificate(t)
	b := open(t, withUsers(t, line), withTLS(cert), func(o *pgwire.Options) { o.MustTLS = true })
	for _, c := range []struct{ user, password, ssl, want string }{
		{"ada", "s3cret", "sslmode=verify-full&sslrootcert=" + root, ""},
		{"ada", "s3cret", "sslmode=require", ""},
		{"ada", "wrong", "sslmode=require", "28P01"},
		{"eve", "s3cret", "sslmode=require", "28P01"},
		{"ada", "s3cret", "sslmode=disable", "28000"},
	} {
		conn, err := pgx.Connect(t.Context(), "postgres://"+c.user+":"+c.password+"@"+b.address+"/anabranch?"+c.ssl)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		var who string
		if err := conn.QueryRow(t.Context(), "SHOW session_authorization").Scan(&who); err != nil || who != "ada" {
			t.Error(who, err)
		}
		// A query over TLS is cancelled by its key as well.
		time.AfterFunc(200*time.Millisecond, func() { _ = conn.PgConn().CancelRequest(t.Context()) })
		if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range % 3"); state(err) != "57014" {
			t.Error(err)
		}
		conn.Close(t.Context())
	}
}

func withUsers(t testing.TB, lines ...string) func(*pgwire.Options) {
	u, err := users.Read(strings.NewReader(strings.Join(lines, "\n")), "users")
	if err != nil {
		t.Fatal(err)
	}
	return func(o *pgwire.Options) { o.Users = u }
}

func withTLS(c tls.Certificate) func(*pgwire.Options) {
	return func(o *pgwire.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
	}
}

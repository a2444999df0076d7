package caddytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// faultsOfSite are about addresses: of the site, and of the clouds.
func (w *world) faultsOfSite() []doctorFault {
	site := func(answer func(http.ResponseWriter, *http.Request)) string {
		srv := httptest.NewServer(http.HandlerFunc(answer))
		w.t.Cleanup(srv.Close)
		return srv.URL
	}
	public := func(url string) func(string) string {
		return replaced("settle 0", "settle 0\n\t\tpublic_url "+url)
	}
	clock := func(off time.Duration) func(string) string {
		return replaced(w.wechatAt, site(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			w.wechat.ServeHTTP(rw, r)
		}))
	}
	status := func(code int) string {
		return site(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(code) })
	}
	closed := "http://" + freeAddr(w.t)
	return []doctorFault{
		{want: "api.unreachable", config: replaced(w.wechatAt, closed)},
		{want: "clock.slow", config: clock(time.Hour)},
		{want: "clock.fast", config: clock(-10 * time.Minute)},
		{want: "bot.unreachable", config: replaced(w.botAt, closed)},
		{want: "public.unreachable", config: public(closed)},
		{want: "public.other", config: public("http://" + w.site + "/elsewhere")},
		{want: "public.in_between", config: public(status(http.StatusForbidden))},
		{want: "public.server", config: public(status(http.StatusBadGateway))},
		{want: "public.redirect", config: public(site(func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://www.example.com"+r.URL.Path, http.StatusFound)
		}))},
		{want: "public.altered", config: public(site(func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(rw, "\ufeff"+r.URL.Query().Get("echostr"))
		}))},
		{want: "public.certificate", config: public(secure(w.t, time.Now().Add(time.Hour)))},
		{want: "public.expired", config: public(secure(w.t, time.Now().Add(-time.Hour)))},
		{want: "public.no_tls", config: public("https://" + w.site)},
	}
}

// secure is a site with a certificate of nobody that is known.
func secure(t *testing.T, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nobody"},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestDoctorWithoutCaddy: what can be told without a running Caddy is told, and
// nothing is changed.
func TestDoctorWithoutCaddy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModeSafe, idle: true})
	w.diagnose(w.config(), "")
	if _, err := os.Stat(w.journalDir()); err == nil {
		t.Error("the doctor has made a journal")
	}
	w.caddy.start(w.config())
	w.wechat.Push(within(t, 20*time.Second), w.wechat.Text("oAlice", "hello"))
	w.diagnose(w.config(), "journal.in_use", "--address", freeAddr(t))
	w.caddy.stop()
	w.diagnose(w.config(), "")

	file := filepath.Join(w.journalDir(), "journal.db")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	w.diagnose(w.config(), "journal.newer")
	if err := os.WriteFile(file, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.diagnose(w.config(), "journal.damaged")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	w.diagnose(w.config(), "")
	w.diagnose(strings.Replace(w.config(), "dir "+w.journalDir(), "dir "+file+"/below", 1), "journal.unwritable")

	// As somebody sees it who has nothing but a terminal.
	got := w.commandIn([]string{"LANG=zh_CN.UTF-8"}, "doctor", "--config", "nowhere")
	if got.code != 2 || !strings.HasPrefix(got.out, "✗ 配置：无法读取") || !strings.Contains(got.out, " → 请修正配置") {
		t.Errorf("%+v", got)
	}
	if got := w.command("doctor", "--lang", "fr"); got.code != 1 || !strings.Contains(got.errors, "en or zh") {
		t.Errorf("%+v", got)
	}
}

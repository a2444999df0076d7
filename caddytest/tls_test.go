package caddytest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// challengePort in the environment of a Caddy that is a certificate authority
// is the port where it looks for the answer to a TLS-ALPN challenge. By the book
// it is 443, which a test cannot have.
const challengePort = "CADDY_WECHAT_TEST_CHALLENGE_PORT"

// TestAutomaticTLS: a site with the directive obtains its certificate over ACME,
// from a Caddy that is the certificate authority, and answers WeChat's
// verification and a push over HTTPS.
func TestAutomaticTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{idle: true})
	_, port, err := net.SplitHostPort(w.site)
	if err != nil {
		t.Fatal(err)
	}
	root, directory := startAuthority(t, port)

	config := w.config()
	config = strings.Replace(config, "http://"+w.site, "https://localhost:"+port, 1)
	config = strings.Replace(config, "persist_config off", "persist_config off\n\thttps_port "+port+"\n\tauto_https disable_redirects", 1)
	config = strings.Replace(config, `	respond "not the bridge"`, `	tls {
		issuer acme {
			dir `+directory+`
			trusted_roots `+root+`
			disable_http_challenge
		}
	}
	respond "not the bridge"`, 1)
	w.caddy.start(config)

	client := trusting(t, root)
	deadline := time.Now().Add(60 * time.Second)
	for {
		resp, err := client.Get("https://localhost:" + port + "/")
		if err == nil {
			resp.Body.Close()
			if issuer := resp.TLS.PeerCertificates[0].Issuer.CommonName; !strings.Contains(issuer, "Test Authority") {
				t.Errorf("the certificate is from %q", issuer)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no certificate: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}

	// WeChat's side, over HTTPS.
	secure := simulator.NewWeChat(simulator.WeChatConfig{
		AppID: appID, AppSecret: appSecret, Token: token,
		CallbackURL: "https://localhost:" + port + "/wechat",
		HTTP:        client,
	})
	defer secure.Close()
	if ok, a := secure.Verify(within(t, 10*time.Second)); !ok {
		t.Errorf("URL verification over HTTPS: %+v", a)
	}
	if d := secure.Push(within(t, 10*time.Second), secure.Text("oAlice", "over HTTPS")); !d.Accepted() {
		t.Errorf("push over HTTPS: %+v", d)
	}
	if turns, err := w.botpress.WaitTurns(within(t, 10*time.Second), conversation("oAlice"), 1); err != nil {
		t.Errorf("the bot heard %v: %v", said(turns), err)
	}
}

// startAuthority starts a Caddy that issues certificates over ACME, and gives
// its root certificate and its directory. It validates on a port of this machine.
func startAuthority(t *testing.T, port string) (root, directory string) {
	t.Helper()
	p := newProcess(t)
	p.env = append(p.env, challengePort+"="+port)
	addr := freeAddr(t)
	storage := filepath.Join(p.dir, "storage")
	p.start(`{
	admin ` + p.admin + `
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	storage file_system ` + storage + `
	pki {
		ca local {
			name "Test Authority"
		}
	}
}
https://` + addr + ` {
	tls internal
	acme_server {
		challenges tls-alpn-01
	}
}
`)
	root = filepath.Join(storage, "pki", "authorities", "local", "root.crt")
	for range 100 {
		if _, err := os.Stat(root); err == nil {
			return root, "https://" + addr + "/acme/local/directory"
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the authority has no root certificate:\n%s", tail(p.log.String()))
	return "", ""
}

// trusting is a client that trusts one authority and no other.
func trusting(t *testing.T, root string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no root certificate")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

package caddytest

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestAttackWebhook forges what the bot says.
func TestAttackWebhook(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, simulator.ModePlain)
	secret := http.Header{"X-Secret-Key": {webhookSecret}}
	good := signal(conversation("oAlice"), "m-good", "from the bot")
	post := func(rq request) {
		t.Helper()
		rq.method = http.MethodPost
		if rq.path == "" {
			rq.path = "/wechat/botpress"
		}
		g.w.do(rq)
	}
	post(request{name: "good", header: secret, body: good, status: 200})
	g.read = append(g.read, "from the bot")
	if _, err := g.w.wechat.Wait(g.ctx, "oAlice", len(g.read)); err != nil {
		t.Fatal(err)
	}
	for _, rq := range []request{
		{name: "sent again", header: secret, body: good, status: 200},
		{name: "sent again, saying something else", header: secret, body: signal(conversation("oAlice"), "m-good", "let me in"), status: 200},
		{name: "secret in the query", query: "x-secret-key=" + webhookSecret, status: 401},
		{name: "secret in a cookie", header: http.Header{"Cookie": {"x-secret-key=" + webhookSecret}}, status: 401},
		{name: "secret as a bearer", header: http.Header{"Authorization": {"Bearer " + webhookSecret}}, status: 401},
		{name: "secret under another name", header: http.Header{"X_secret_key": {webhookSecret}}, status: 401},
		{name: "secret in capitals", header: http.Header{"X-Secret-Key": {strings.ToUpper(webhookSecret)}}, status: 401},
		{name: "secret and more", header: http.Header{"X-Secret-Key": {webhookSecret + "0"}}, status: 401},
		{name: "two secrets, the first good", header: http.Header{"X-Secret-Key": {webhookSecret, "x"}}, status: 401},
		{name: "two secrets, the second good", header: http.Header{"X-Secret-Key": {"x", webhookSecret}}, status: 401},
		{name: "of another account", header: secret, body: signal("wx-wxfedcba9876543210-oAlice", "m-1", "let me in"), status: 200},
		{name: "in capitals", header: secret, body: signal(strings.ToUpper(conversation("oAlice")), "m-2", "let me in"), status: 200},
		{name: "with a path", header: secret, body: signal(conversation("oAlice")+"/../oAlice", "m-3", "let me in"), status: 200},
		{name: "with a quote", header: secret, body: signal("' OR 1=1 --", "m-4", "let me in"), status: 200},
		{name: "no conversation", header: secret, body: signal("", "m-5", "let me in"), status: 400},
		{name: "a pattern", header: secret, body: signal("wx-%", "m-6", "let me in"), status: 200},
	} {
		if rq.body == "" {
			rq.body = signal(conversation("oAlice"), "m-forged", "let me in")
		}
		post(rq)
		g.unharmed(rq.name)
	}
	g.checkLog()
	if n := len(g.w.caddy.log.lines(`"warn"`, "webhook refused: wrong or missing secret; is webhook_secret")); n != 1 {
		t.Errorf("%d lines tell of wrong secrets, want 1 a minute", n)
	}

	if n := g.w.metrics()["replies_foreign_total"]; n != 5 {
		t.Errorf("%v replies were for conversations of others, want 5", n)
	}

	without := strings.Replace(g.w.config(), "webhook_secret "+webhookSecret, "", 1)
	if err := g.w.caddy.reload(without); err != nil {
		t.Fatal(err)
	}
	time.Sleep(listenersChange)
	post(request{name: "where there is no webhook", header: secret, body: good, status: 200, want: elsewhat})
	post(request{name: "where there is no webhook, empty secret", header: http.Header{"X-Secret-Key": {""}}, body: good, status: 200, want: elsewhat})
}

// TestAttackMedia forges addresses of users' files.
func TestAttackMedia(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	other := newWorld(t, setup{options: bulk})
	address := w.file(w.wechat.Image(alice))
	theirs := other.file(other.wechat.Image(alice))

	resp, _ := w.get(http.MethodGet, address)
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Content-Disposition": "inline", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox",
	} {
		if got := resp.Header.Get(name); resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("the file: %d, %s %q, want 200, %q", resp.StatusCode, name, got, want)
		}
	}

	base, name := address[:strings.LastIndex(address, "/")+1], address[strings.LastIndex(address, "/")+1:]
	token := strings.TrimSuffix(name, ".png")
	forged := map[string]string{
		"of another journal":     base + theirs[strings.LastIndex(theirs, "/")+1:],
		"as a page":              base + token + ".html",
		"as a drawing":           base + token + ".svg",
		"as anything":            base + token + ".bin",
		"as another picture":     base + token + ".jpg",
		"in capitals":            base + token + ".PNG",
		"without extension":      base + token,
		"with two extensions":    base + name + ".html",
		"with a dot":             base + name + ".",
		"with a slash":           address + "/",
		"with a path behind":     address + "/x.html",
		"with an encoded slash":  address + "%2fx.html",
		"with a null":            address + "%00.html",
		"with a line break":      base + token + "%0a.png",
		"with padding":           base + token + "=.png",
		"the id alone":           base + token[:22] + ".png",
		"the signature alone":    base + token[22:] + ".png",
		"twice":                  base + token + token + ".png",
		"no token":               base + ".png",
		"a path upwards":         base + "..%2f..%2fjournal.db",
		"a path upwards, unsaid": base + "%2e%2e/%2e%2e/journal.db",
	}
	for i := range token {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		forged[fmt.Sprintf("letter %d changed", i)] = base + token[:i] + string(c) + token[i+1:] + ".png"
	}
	for what, at := range forged {
		resp, body := w.get(http.MethodGet, at)
		if ours := string(body) == elsewhat; resp.StatusCode != http.StatusNotFound && !ours {
			t.Errorf("%s: answered %d, want 404", what, resp.StatusCode)
		}
	}
	if status := w.status(address + "?token=" + token + "#x"); status != http.StatusOK {
		t.Errorf("with a query: answered %d, want 200", status)
	}
}

// TestAttackThroughReply has the bot name addresses inside the network, which
// whoever talks to it may have told it. Nothing of that is fetched.
func TestAttackThroughReply(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		rw.WriteHeader(http.StatusOK)
	}))
	defer canary.Close()
	_, port, err := net.SplitHostPort(canary.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, setup{options: bulk, idle: true, wechat: func(c *simulator.WeChatConfig) { c.NoAllowance = true }})
	w.caddy.start(strings.Replace(w.config(), "allow 127.0.0.0/8", "allow 127.0.0.2/32", 1))
	w.push(w.wechat.Text(alice, "hello"))
	w.expect(alice, "echo: hello")

	targets := map[string]string{
		"loopback":              "http://127.0.0.1:" + port + "/x.png",
		"its name":              "http://localhost:" + port + "/x.png",
		"any address":           "http://0.0.0.0:" + port + "/x.png",
		"mapped to IPv6":        "http://[::ffff:127.0.0.1]:" + port + "/x.png",
		"IPv6":                  "http://[::1]:" + port + "/x.png",
		"as a number":           "http://2130706433:" + port + "/x.png",
		"in hex":                "http://0x7f000001:" + port + "/x.png",
		"short":                 "http://127.1:" + port + "/x.png",
		"octal":                 "http://0177.0.0.1:" + port + "/x.png",
		"with a dot":            "http://127.0.0.1.:" + port + "/x.png",
		"with a user":           "http://example.com@127.0.0.1:" + port + "/x.png",
		"another of loopback":   "http://127.0.0.3:" + port + "/x.png",
		"the admin endpoint":    "http://" + w.caddy.admin + "/config/",
		"this site":             "http://" + w.site + "/wechat/ready",
		"metadata of the cloud": "http://169.254.169.254/latest/meta-data/",
		"a file":                "file:///etc/passwd",
		"another protocol":      "gopher://127.0.0.1:" + port + "/_GET",
	}
	if ln, err := net.Listen("tcp", "127.0.0.2:0"); err == nil { // not everywhere
		redirects := &http.Server{Handler: http.RedirectHandler(canary.URL, http.StatusFound), ReadHeaderTimeout: time.Second}
		go func() { _ = redirects.Serve(ln) }()
		defer redirects.Close()
		targets["where a redirect leads"] = "http://" + ln.Addr().String() + "/x.png"
	}
	n := 1
	for name, target := range targets {
		for _, payload := range []map[string]any{
			{"type": "image", "imageUrl": target, "title": name},
			{"type": "video", "videoUrl": target, "title": name},
		} {
			w.botpress.Say(conversation(alice), payload)
			n++
			seen, err := w.wechat.Wait(within(t, 30*time.Second), alice, n)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if last := seen[n-1]; last.Type != "text" {
				t.Errorf("%s: the user sees %+v", name, last)
			}
		}
	}
	if got := hits.Load(); got != 0 {
		t.Errorf("%d requests went inside", got)
	}
}

// TestRotation changes the token and the key while pushes go on: what is signed and
// sealed with the previous ones is answered with those.
func TestRotation(t *testing.T) {
	t.Parallel()
	const nextToken, nextKey = "nexttoken", "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210zyxwvut"
	w := newWorld(t, setup{mode: simulator.ModeSafe})
	said := 0
	expect := func(when string, answered bool) {
		t.Helper()
		said++
		text := fmt.Sprintf("%d, %s", said, when)
		d := w.wechat.Push(within(t, 30*time.Second), w.wechat.Text(alice, text))
		// The simulator checks the signature of a reply and opens it.
		if got := d.Reply != nil && d.Reply.Text == "echo: "+text; got != answered || !answered && d.Attempts[0].Status != http.StatusForbidden {
			t.Errorf("%s: %+v, want an answer: %t", when, d, answered)
		}
	}
	configure := func(tokens, keys string) {
		t.Helper()
		config := strings.Replace(w.config(), "token      "+token, "token "+tokens, 1)
		if err := w.caddy.reload(strings.Replace(config, "aes_key    "+aesKey, "aes_key "+keys, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(listenersChange)
	}
	expect("before", true)
	configure(nextToken+" "+token, nextKey+" "+aesKey)
	expect("previous token and key", true)
	w.wechat.SetToken(nextToken)
	expect("new token, previous key", true)
	w.wechat.SetAESKey(nextKey)
	expect("new token and key", true)
	w.wechat.SetToken(token)
	expect("previous token, new key", true)
	configure(nextToken, nextKey)
	expect("previous token, afterwards", false)
	w.wechat.SetToken(nextToken)
	expect("new ones, afterwards", true)
	w.wechat.SetAESKey(aesKey)
	expect("previous key, afterwards", false)
}

// TestAttackCertificate puts somebody between the bridge and the clouds, with a
// certificate that no authority has issued. Neither gets a word.
func TestAttackCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk + "\ncallback_ips wechat", idle: true})
	wechatFront, botpressFront := httptest.NewUnstartedServer(w.wechat), httptest.NewUnstartedServer(w.botpress)
	for _, front := range []*httptest.Server{wechatFront, botpressFront} {
		front.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
		front.StartTLS()
		defer front.Close()
	}
	w.wechatAt, w.botAt = wechatFront.URL, botpressFront.URL
	w.caddy.start(w.config())
	w.push(w.wechat.Text(alice, "hello"))
	for _, says := range []string{"bot does not take a message; trying again", "asking for the addresses of wechat's callbacks; trying again"} {
		if len(w.caddy.log.await(1, says, "x509: ")) == 0 {
			t.Errorf("the log does not say %q for want of a good certificate", says)
		}
	}
	if calls := w.wechat.Calls(); len(calls) != 0 {
		t.Errorf("WeChat was asked %d times", len(calls))
	}
	if calls := w.botpress.State().Calls; len(calls) != 0 {
		t.Errorf("the bot was asked %v", calls)
	}
}

package caddytest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// What becomes of a push that is no good one.
const (
	none     = 0   // the mode has no such push
	taken    = 200 // success, and the bot has it
	dead     = -1  // success, and a dead letter
	refused  = http.StatusForbidden
	tooLarge = http.StatusRequestEntityTooLarge
)

// outcomes are what becomes of a push in each of WeChat's modes.
type outcomes struct{ plain, compatible, safe int }

func (o outcomes) in(mode string) int {
	return map[string]int{
		simulator.ModePlain: o.plain, simulator.ModeCompatible: o.compatible, simulator.ModeSafe: o.safe,
	}[mode]
}

var (
	always    = func(outcome int) outcomes { return outcomes{outcome, outcome, outcome} }
	encrypted = func(outcome int) outcomes { return outcomes{none, outcome, outcome} }
)

// inTheClear and sealed are the forms of a push. A plain account has no sealed one.
const (
	inTheClear = simulator.ModePlain
	sealed     = simulator.ModeSafe
)

// badPushes are requests that anyone can make, and bodies that only someone who
// knows the token can.
var badPushes = []struct {
	name string
	push simulator.SimPush // what is said is filled in
	want outcomes
}{
	{"no signature", simulator.SimPush{Forge: simulator.Forgery{NoSignature: true}}, always(refused)},
	{"wrong signature", simulator.SimPush{Forge: simulator.Forgery{Signature: true}}, always(refused)},
	{"signed 6 minutes ago", simulator.SimPush{Forge: simulator.Forgery{Age: 6 * time.Minute}}, always(refused)},
	{"signed in 6 minutes", simulator.SimPush{Forge: simulator.Forgery{Age: -6 * time.Minute}}, always(refused)},
	{"signed 4 minutes ago", simulator.SimPush{Forge: simulator.Forgery{Age: 4 * time.Minute}}, always(taken)},

	{"in the clear", simulator.SimPush{Mode: inTheClear}, outcomes{taken, taken, refused}},
	{"sealed", simulator.SimPush{Mode: sealed}, outcomes{refused, taken, taken}},
	{"wrong msg_signature", simulator.SimPush{Forge: simulator.Forgery{MsgSignature: true}}, encrypted(refused)},
	{"sealed for another AppID", simulator.SimPush{Forge: simulator.Forgery{AppID: "wxfedcba9876543210"}}, encrypted(refused)},
	{"bad padding", simulator.SimPush{Forge: simulator.Forgery{BadPad: true}}, encrypted(refused)},
	{"half a cipher text", simulator.SimPush{Forge: simulator.Forgery{Cut: true}}, encrypted(refused)},

	{"empty body, in the clear", simulator.SimPush{Mode: inTheClear, Body: []byte{}}, outcomes{dead, dead, refused}},
	{"empty body, sealed", simulator.SimPush{Mode: sealed, Body: []byte{}}, always(refused)},
	{"no envelope", simulator.SimPush{Mode: sealed, Body: []byte("Encrypt")}, always(refused)},
	{"envelope without Encrypt", simulator.SimPush{Mode: sealed, Body: []byte("<xml><ToUserName>gh_0123456789ab</ToUserName></xml>")}, always(refused)},
	{"envelope with an empty Encrypt", simulator.SimPush{Mode: sealed, Body: []byte("<xml><Encrypt></Encrypt></xml>")}, always(refused)},
	{"huge body", simulator.SimPush{Body: bytes.Repeat([]byte("a"), 1<<20+1)}, always(tooLarge)},

	{"nothing, in the clear", simulator.SimPush{Mode: inTheClear, Raw: []byte{}}, outcomes{dead, dead, refused}},
	{"nothing, sealed", simulator.SimPush{Mode: sealed, Raw: []byte{}}, outcomes{refused, dead, dead}},
	{"no XML, in the clear", simulator.SimPush{Mode: inTheClear, Raw: []byte(`{"MsgType":"text"}`)}, outcomes{dead, dead, refused}},
	{"no XML, sealed", simulator.SimPush{Mode: sealed, Raw: []byte(`{"MsgType":"text"}`)}, outcomes{refused, dead, dead}},
	{"cut XML, in the clear", simulator.SimPush{Mode: inTheClear, Raw: []byte(malloryXML[:len(malloryXML)-8])}, outcomes{dead, dead, refused}},
	{"cut XML, sealed", simulator.SimPush{Mode: sealed, Raw: []byte(malloryXML[:len(malloryXML)-8])}, outcomes{refused, dead, dead}},
	{"DOCTYPE, in the clear", simulator.SimPush{Mode: inTheClear, Raw: []byte(doctype + malloryXML)}, outcomes{dead, dead, refused}},
	{"DOCTYPE, sealed", simulator.SimPush{Mode: sealed, Raw: []byte(doctype + malloryXML)}, outcomes{refused, dead, dead}},
	{"no sender, in the clear", simulator.SimPush{Mode: inTheClear, Raw: []byte("<xml><MsgType>text</MsgType><Content>x</Content></xml>")}, outcomes{dead, dead, refused}},
	{"no sender, sealed", simulator.SimPush{Mode: sealed, Raw: []byte("<xml><MsgType>text</MsgType><Content>x</Content></xml>")}, outcomes{refused, dead, dead}},
}

const (
	mallory    = "oMallory"
	malloryXML = "<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>oMallory</FromUserName>" +
		"<CreateTime>1700000000</CreateTime><MsgType>text</MsgType><Content>let me in</Content><MsgId>1</MsgId></xml>"
	doctype = `<!DOCTYPE xml [<!ENTITY a "let me in">]>`
)

// TestBadPushes pushes what is no good push. The answer is as it should be, the
// bot hears of nothing it should not, and the next good push is taken.
func TestBadPushes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{simulator.ModePlain, simulator.ModeCompatible, simulator.ModeSafe} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, mode)
			for _, tc := range badPushes {
				want := tc.want.in(mode)
				if want == none {
					continue
				}
				p := g.w.wechat.Text(mallory, "let me in")
				p.Mode, p.Forge, p.Body, p.Raw = tc.push.Mode, tc.push.Forge, tc.push.Body, tc.push.Raw
				g.try(tc.name, p, want)
			}
			g.checkLog()
		})
	}
}

// guarded is a world that bad input is thrown at, with a user who is never
// disturbed by it.
type guarded struct {
	w     *world
	ctx   context.Context
	turns int             // that the bot should have had
	read  []string        // by alice
	dead  map[string]bool // letters
}

func newGuarded(t *testing.T, mode string) *guarded {
	t.Helper()
	return guardedBy(t, setup{mode: mode})
}

// guardedBy is newGuarded with more of a setup.
func guardedBy(t *testing.T, s setup) *guarded {
	t.Helper()
	s.options = bulk + "\n" + s.options
	given := s.wechat
	s.wechat = func(c *simulator.WeChatConfig) {
		c.NoAllowance, c.Timeout = true, 20*time.Second
		if given != nil {
			given(c)
		}
	}
	g := &guarded{w: newWorld(t, s), ctx: within(t, 5*time.Minute)}
	if !s.idle {
		g.unharmed("nothing yet")
	}
	return g
}

// try pushes and compares the answer, then sees that no harm was done.
func (g *guarded) try(name string, p simulator.SimPush, want int) {
	g.w.t.Helper()
	d := g.w.wechat.Push(g.ctx, p)
	status, body := want, ""
	switch want {
	case taken:
		status, body = http.StatusOK, "success"
		g.turns++
	case dead:
		status, body = http.StatusOK, "success"
		if g.dead == nil {
			g.dead = make(map[string]bool)
		}
		g.dead[string(p.Raw)+string(p.Body)] = true
	}
	if a := d.Attempts[0]; a.Status != status || string(a.Body) != body {
		g.w.t.Errorf("%s: answered %d %q (%s), want %d %q", name, a.Status, a.Body, a.Err, status, body)
	}
	if want == dead { // once: whoever has heard it can send it all day
		if a := g.w.wechat.Push(g.ctx, p).Attempts[0]; a.Status != status || string(a.Body) != body {
			g.w.t.Errorf("%s, again: answered %d %q (%s)", name, a.Status, a.Body, a.Err)
		}
	}
	g.unharmed(name)
}

// unharmed has alice say something and expects that the bot heard it, that it
// heard nothing else, and that she read the answer and nothing else.
func (g *guarded) unharmed(after string) {
	g.w.t.Helper()
	const alice = "oAlice"
	text := "after " + after
	g.w.push(g.w.wechat.Text(alice, text))
	g.turns++
	g.read = append(g.read, "echo: "+text)
	turns, err := g.w.botpress.WaitTurns(g.ctx, "", g.turns)
	if len(turns) != g.turns {
		g.w.t.Fatalf("after %s: the bot had %d turns, want %d (%v): %v", after, len(turns), g.turns, err, turns[max(0, len(turns)-3):])
	}
	seen, err := g.w.wechat.Wait(g.ctx, alice, len(g.read))
	if diff := cmp.Diff(g.read, texts(seen)); diff != "" {
		g.w.t.Fatalf("after %s: alice read (-want +got, %v):\n%s", after, err, diff)
	}
	// She need not have been the last one.
	if n := int(g.w.botpress.CountTurns()); n != g.turns {
		g.w.t.Fatalf("after %s: the bot had %d turns, want %d", after, n, g.turns)
	}
}

// checkLog expects a line for each dead letter, and neither a secret nor a word
// of a user in any but those that Caddy logs of its configuration.
func (g *guarded) checkLog() {
	g.w.t.Helper()
	if n := len(g.w.caddy.log.await(len(g.dead), `"push cannot be parsed; put aside as dead letter"`)); n != len(g.dead) {
		g.w.t.Errorf("the log tells of %d dead letters, want %d", n, len(g.dead))
	}
	for _, secret := range []string{appSecret, token, aesKey, encryptionKey, webhookSecret, "let me in"} {
		for _, line := range g.w.caddy.log.lines(secret) {
			if !strings.Contains(line, `"adjusted config"`) { // at debug level: all of it
				g.w.t.Errorf("the log holds %q: %.300s", secret, line)
			}
		}
	}
}

// TestForgedVerification asks for the echo as someone who does not know the token.
func TestForgedVerification(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModeSafe})
	ctx := within(t, 30*time.Second)
	for name, f := range map[string]simulator.Forgery{
		"no signature":         {NoSignature: true},
		"wrong signature":      {Signature: true},
		"signed 6 minutes ago": {Age: 6 * time.Minute},
		"signed in 6 minutes":  {Age: -6 * time.Minute},
	} {
		if ok, a := w.wechat.VerifyForged(ctx, f); !ok || len(a.Body) != 0 {
			t.Errorf("%s: answered %d %q, want 403", name, a.Status, a.Body)
		}
	}
	if n := len(w.caddy.log.await(1, `"warn"`, "its timestamp is too far from this machine's clock", `"off":`)); n != 1 {
		t.Errorf("%d lines tell of the clock, want 1 a minute", n)
	}
	if ok, a := w.wechat.Verify(ctx); !ok {
		t.Errorf("a good one: %+v", a)
	}
}

// TestCallbackIPs refuses callbacks from addresses that callback_ips does not name.
func TestCallbackIPs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{
		options: "callback_ips 192.0.2.0/24 2001:db8::/32",
		wechat:  func(c *simulator.WeChatConfig) { c.DisableKeepAlives = true },
	})
	ctx := within(t, 30*time.Second)
	if ok, a := w.wechat.Verify(ctx); ok || a.Status != http.StatusForbidden {
		t.Errorf("verification from elsewhere: answered %d %q, want 403", a.Status, a.Body)
	}
	d := w.wechat.Push(ctx, w.wechat.Text("oAlice", "from elsewhere"))
	if a := d.Attempts[0]; a.Status != http.StatusForbidden || len(a.Body) != 0 {
		t.Errorf("push from elsewhere: answered %d %q, want 403", a.Status, a.Body)
	}
	w.options = "callback_ips 192.0.2.0/24 127.0.0.0/8"
	w.reload()
	if ok, a := w.wechat.Verify(ctx); !ok {
		t.Errorf("verification: %+v", a)
	}
	w.push(w.wechat.Text("oAlice", "hello"))
	w.expect("oAlice", "echo: hello")
	if turns := said(w.botpress.AllTurns()); !cmp.Equal(turns, []string{"hello"}) {
		t.Errorf("the bot heard %q", turns)
	}
}

// TestCutBody hangs up half-way through a push with a good signature.
func TestCutBody(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, simulator.ModePlain)
	status := g.w.cut(fmt.Sprintf("POST /wechat?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s",
		signedQuery(), g.w.site, len(malloryXML), strings.TrimSuffix(malloryXML, "</xml>")))
	if status != http.StatusBadRequest {
		t.Errorf("answered %d, want 400", status)
	}
	g.unharmed("a cut body")
	g.checkLog()
}

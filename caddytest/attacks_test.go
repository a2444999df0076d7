package caddytest

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// captured is a request of WeChat's, as somebody on the way would see it.
type captured struct{ query, body string }

// with puts a parameter in place of what the query has.
func (c captured) with(name, value string) captured {
	q := c.parsed()
	q.Set(name, value)
	c.query = q.Encode()
	return c
}

// without takes parameters out.
func (c captured) without(names ...string) captured {
	q := c.parsed()
	for _, name := range names {
		q.Del(name)
	}
	c.query = q.Encode()
	return c
}

// plus puts text behind the query, as it is.
func (c captured) plus(text string) captured {
	c.query += "&" + text
	return c
}

// saying has another body.
func (c captured) saying(body string) captured {
	c.body = body
	return c
}

// reversed has the parameters the other way round.
func (c captured) reversed() captured {
	all := strings.Split(c.query, "&")
	slices.Reverse(all)
	c.query = strings.Join(all, "&")
	return c
}

func (c captured) parsed() url.Values {
	q, err := url.ParseQuery(c.query)
	if err != nil {
		panic(err)
	}
	return q
}

// tap sees WeChat's requests. While it holds them, they do not arrive, and WeChat
// believes that they have.
type tap struct {
	mu   sync.Mutex
	hold bool
	last captured
}

// RoundTrip implements http.RoundTripper.
func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.last = captured{r.URL.RawQuery, string(body)}
	hold := t.hold
	t.mu.Unlock()
	if hold {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("success"))}, nil
	}
	r = r.Clone(r.Context())
	r.Body, r.Close = io.NopCloser(strings.NewReader(string(body))), true
	return http.DefaultTransport.RoundTrip(r)
}

// attack is a request that somebody who is not WeChat makes.
type attack struct {
	name string
	captured
	want int // status; 200 is success, and no effect all the same
}

// arena is a guarded world in which requests can be captured.
type arena struct {
	*guarded
	tap *tap
}

func newArena(t *testing.T, s setup) *arena {
	t.Helper()
	a := &arena{tap: &tap{}}
	s.wechat = func(c *simulator.WeChatConfig) { c.HTTP = &http.Client{Transport: a.tap} }
	a.guarded = guardedBy(t, s)
	return a
}

// overheard is a push that was captured, and taken.
func (a *arena) overheard(text string) captured {
	a.w.t.Helper()
	a.w.push(a.w.wechat.Text(mallory, text))
	a.turns++
	a.tap.mu.Lock()
	defer a.tap.mu.Unlock()
	return a.tap.last
}

// stolen is a push of some simulated WeChat that was captured, and has not arrived.
func (a *arena) stolen(p simulator.SimPush, from *simulator.WeChat) captured {
	a.w.t.Helper()
	a.tap.mu.Lock()
	a.tap.hold = true
	a.tap.mu.Unlock()
	from.Push(a.ctx, p)
	a.tap.mu.Lock()
	defer a.tap.mu.Unlock()
	a.tap.hold = false
	return a.tap.last
}

// account is another account, or one that believes to be this one, that pushes to
// us too.
func (a *arena) account(change func(*simulator.WeChatConfig)) *simulator.WeChat {
	c := simulator.WeChatConfig{
		AppID: appID, AppSecret: appSecret, Token: token, AESKey: aesKey, Mode: simulator.ModeSafe,
		CallbackURL: "http://" + a.w.site + "/wechat", HTTP: &http.Client{Transport: a.tap},
	}
	change(&c)
	other := simulator.NewWeChat(c)
	a.w.t.Cleanup(other.Close)
	return other
}

// suffer makes the requests and sees that none of them has an effect.
func (a *arena) suffer(attacks []attack) {
	a.w.t.Helper()
	for _, at := range attacks {
		rq := request{name: at.name, method: http.MethodPost, path: "/wechat", query: at.query, body: at.body, status: at.want}
		if at.want == http.StatusOK {
			rq.want = "success"
		}
		a.w.do(rq)
		a.unharmed(at.name)
	}
}

// TestAttackReplay sends again what was overheard, as it was and changed.
func TestAttackReplay(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{simulator.ModePlain, simulator.ModeSafe} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, setup{mode: mode})
			heard := a.overheard("heard")
			all := []attack{
				{"replay", heard, http.StatusOK},
				{"replay, parameters reversed", heard.reversed(), http.StatusOK},
				{"replay, further parameters", heard.plus("openid=oAlice&a=b;c=d&%zz"), http.StatusOK},
				{"replay, names encoded", captured{strings.Replace(heard.query, "signature=", "%73ignature=", 1), heard.body}, http.StatusOK},
				{"another time", heard.with("timestamp", "1700000000"), http.StatusForbidden},
				{"another nonce", heard.with("nonce", "1"), http.StatusForbidden},
				{"signed text cut up anew", recut(heard), http.StatusForbidden},
				{"upper-case signature", heard.with("signature", strings.ToUpper(heard.parsed().Get("signature"))), http.StatusForbidden},
				{"short signature", heard.with("signature", heard.parsed().Get("signature")[:39]), http.StatusForbidden},
			}
			for _, name := range []string{"signature", "timestamp", "nonce"} {
				value := heard.parsed().Get(name)
				all = append(all,
					attack{"without " + name, heard.without(name), http.StatusForbidden},
					attack{"empty " + name, heard.with(name, ""), http.StatusForbidden},
					attack{"twice the same " + name, heard.plus(name + "=" + value), http.StatusForbidden},
					attack{"another " + name + " behind", heard.plus(name + "=1"), http.StatusForbidden},
					attack{"another " + name + " behind, encoded", heard.plus(percent(name) + "=1"), http.StatusForbidden},
				)
			}
			if mode == simulator.ModeSafe {
				all = append(all, sealedReplays(heard)...)
			}
			a.suffer(all)
			a.checkLog()
		})
	}
}

// TestAttackReplayLate sends again what was overheard, after it was to be forgotten:
// it is remembered as long as its timestamp is fresh.
func TestAttackReplayLate(t *testing.T) {
	t.Parallel()
	a := newArena(t, setup{mode: simulator.ModeSafe, idle: true})
	a.w.journal = "keep 1s"
	a.w.caddy.start(a.w.config())
	heard := a.overheard("heard")
	a.unharmed("what was heard")
	time.Sleep(4 * time.Second) // what may be forgotten is, each second
	a.suffer([]attack{{"replay", heard, http.StatusOK}})
}

// percent encodes the first letter of a name.
func percent(name string) string {
	const digits = "0123456789abcdef"
	return "%" + string([]byte{digits[name[0]>>4], digits[name[0]&15]}) + name[1:]
}

// recut moves a digit from the time to the nonce: what is signed stays the same if
// they are next to each other.
func recut(c captured) captured {
	q := c.parsed()
	stamp, nonce := q.Get("timestamp"), q.Get("nonce")
	return c.with("timestamp", stamp[:len(stamp)-1]).with("nonce", stamp[len(stamp)-1:]+nonce)
}

// sealedReplays are changes to an encrypted push. Whoever has heard one must not be
// able to say anything in its name.
func sealedReplays(heard captured) []attack {
	inner := strings.TrimPrefix(heard.body[strings.Index(heard.body, "<Encrypt>"):], "<Encrypt>")
	inner = inner[:strings.Index(inner, "</Encrypt>")]
	double := strings.Replace(heard.body, "<Encrypt>", "<Encrypt>AAAA</Encrypt><Encrypt>", 1)
	return []attack{
		{"in the clear, with the signature of a sealed one", heard.without("encrypt_type", "msg_signature").saying(malloryXML), http.StatusForbidden},
		{"in the clear, said to be raw", heard.with("encrypt_type", "raw").saying(malloryXML), http.StatusForbidden},
		{"in the clear, said to be sealed", heard.saying(malloryXML), http.StatusForbidden},
		{"in the clear around the cipher text", heard.without("encrypt_type").saying(strings.Replace(malloryXML, "</xml>", "<Encrypt>"+inner+"</Encrypt></xml>", 1)), http.StatusForbidden},
		{"encrypt_type in upper case", heard.with("encrypt_type", "AES"), http.StatusForbidden},
		{"encrypt_type twice", heard.plus("encrypt_type=raw"), http.StatusForbidden},
		{"msg_signature twice", heard.plus("msg_signature=" + heard.parsed().Get("msg_signature")), http.StatusForbidden},
		{"no msg_signature", heard.without("msg_signature"), http.StatusForbidden},
		{"msg_signature is the signature", heard.with("msg_signature", heard.parsed().Get("signature")), http.StatusForbidden},
		{"two cipher texts", heard.saying(double), http.StatusForbidden},
		{"another cipher text", heard.saying(strings.Replace(heard.body, inner[:20], "<![CDATA[AAAAAAAAAAA", 1)), http.StatusForbidden},
		{"cipher text one level down", heard.saying("<xml><a>" + heard.body[len("<xml>"):len(heard.body)-len("</xml>")] + "</a></xml>"), http.StatusForbidden},
		{"cipher text behind an entity", heard.saying(`<!DOCTYPE xml [<!ENTITY e "` + strings.TrimSuffix(strings.TrimPrefix(inner, "<![CDATA["), "]]>") + `">]><xml><Encrypt>&e;</Encrypt></xml>`), http.StatusForbidden},
		{"the same message around the cipher text", heard.saying(strings.Replace(heard.body, "<Encrypt>", "<FromUserName>oAlice</FromUserName><Content>let me in</Content><Encrypt>", 1)), http.StatusOK},
	}
}

// TestAttackForeign sends what others have signed or sealed.
func TestAttackForeign(t *testing.T) {
	t.Parallel()
	const otherKey = "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210zyxwvut"
	a := newArena(t, setup{mode: simulator.ModeSafe})
	heard := a.overheard("heard")
	from := func(change func(*simulator.WeChatConfig)) captured {
		other := a.account(change)
		return a.stolen(other.Text(mallory, "let me in"), other)
	}
	another := from(func(c *simulator.WeChatConfig) {
		c.AppID, c.Token, c.AESKey = "wxfedcba9876543210", "anothertoken", otherKey
	})
	a.suffer([]attack{
		{"of another account", another, http.StatusForbidden},
		{"of another account, with our signature", captured{heard.query, another.body}, http.StatusForbidden},
		{"ours, with the signature of another account", captured{another.query, heard.body}, http.StatusForbidden},
		{"another token", from(func(c *simulator.WeChatConfig) { c.Token = "anothertoken" }), http.StatusForbidden},
		{"our token, another key", from(func(c *simulator.WeChatConfig) { c.AESKey = otherKey }), http.StatusForbidden},
		{"our token and key, another AppID", from(func(c *simulator.WeChatConfig) { c.AppID = "wxfedcba9876543210" }), http.StatusForbidden},
		{"our token and key, a longer AppID", from(func(c *simulator.WeChatConfig) { c.AppID = appID + "0" }), http.StatusForbidden},
		{"our token and key, a shorter AppID", from(func(c *simulator.WeChatConfig) { c.AppID = appID[1:] }), http.StatusForbidden},
		{"our token, in the clear", from(func(c *simulator.WeChatConfig) { c.Mode = simulator.ModePlain }), http.StatusForbidden},
	})
	a.checkLog()
}

// TestAttackPadding asks what is wrong with cipher texts. The answer is always the
// same, and does not take longer for one than for the other.
func TestAttackPadding(t *testing.T) {
	t.Parallel()
	a := newArena(t, setup{mode: simulator.ModeSafe})
	text := strings.Repeat("let me in ", 10_000) // there is something to decrypt
	forgeries := map[string]simulator.Forgery{
		"padding": {BadPad: true},
		"length":  {Cut: true},
		"AppID":   {AppID: "wxfedcba9876543210"},
	}
	took := make(map[string][]time.Duration)
	answers := make(map[string]string)
	apart := func(name string) bool {
		least, other := slices.Min(took[name]), slices.Min(took["AppID"])
		return least > 5*other || other > 5*least
	}
	// By turns: what else happens on this machine hits all of them. Where it does so for long, once more.
	for n := 0; n < 15 || n < 150 && (apart("padding") || apart("length")); n++ {
		for name, f := range forgeries {
			p := a.w.wechat.Text(mallory, text)
			p.Forge = f
			at := a.w.wechat.Push(a.ctx, p).Attempts[0]
			took[name] = append(took[name], at.Took)
			answers[name] = http.StatusText(at.Status) + string(at.Body) + at.Err
		}
	}
	for name, got := range answers {
		if got != answers["AppID"] || !strings.Contains(got, http.StatusText(http.StatusForbidden)) {
			t.Errorf("wrong %s: answered %q, wrong AppID: %q", name, got, answers["AppID"])
		}
		// The least of many is what the work takes. To try one byte of a padding,
		// the difference would have to be seen a hundred times over.
		if apart(name) {
			t.Errorf("wrong %s: told after %v, wrong AppID after %v", name, slices.Min(took[name]), slices.Min(took["AppID"]))
		}
	}
	a.unharmed("forged cipher texts")
	a.checkLog()
}

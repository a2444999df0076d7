package simulator

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWeChatPushModes(t *testing.T) {
	for _, mode := range []string{ModePlain, ModeCompatible, ModeSafe} {
		t.Run(mode, func(t *testing.T) {
			w, s, _ := wcNewPair(t, func(c *WeChatConfig) { c.Mode = mode })
			d := w.Push(wcSoon(t), w.Text(wcTestUser, "a ]]> b\n你好"))
			if d.Outcome != OutcomeSuccess || len(d.Attempts) != 1 || d.Notice {
				t.Fatalf("delivery %+v", d)
			}
			p := s.pushes()[0]
			stamp, nonce := p.q.Get("timestamp"), p.q.Get("nonce")
			if p.q.Get("signature") != wcSign("testtoken", stamp, nonce) {
				t.Error("signature does not fit")
			}
			if sec, _ := strconv.ParseInt(stamp, 10, 64); time.Since(time.Unix(sec, 0)).Abs() > time.Minute {
				t.Errorf("timestamp %s", stamp)
			}
			if p.q.Get("openid") != wcTestUser {
				t.Error("openid is missing")
			}
			outer, err := parseWcXML([]byte(p.body))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, k := range outer.kids {
				names = append(names, k.name)
			}
			fields := []string{"ToUserName", "FromUserName", "CreateTime", "MsgType", "Content", "MsgId"}
			want := map[string][]string{
				ModePlain: fields, ModeCompatible: append(fields, "Encrypt"), ModeSafe: {"ToUserName", "Encrypt"},
			}[mode]
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("elements: %s", diff)
			}
			if mode == ModePlain {
				if p.q.Has("encrypt_type") || p.q.Has("msg_signature") {
					t.Error("parameters of encryption in plain mode")
				}
			} else if p.q.Get("encrypt_type") != "aes" ||
				p.q.Get("msg_signature") != wcSign("testtoken", stamp, nonce, outer.child("Encrypt").text) {
				t.Error("msg_signature does not fit")
			}
			inner, err := parseWcXML([]byte(p.xml))
			if err != nil {
				t.Fatal(err)
			}
			if got := inner.child("Content").text; got != "a ]]> b\n你好" {
				t.Errorf("content %q", got)
			}
			if inner.child("MsgId").text != d.MsgID || inner.child("ToUserName").text != "gh_0123456789ab" ||
				inner.child("FromUserName").text != wcTestUser {
				t.Errorf("inner %s", p.xml)
			}
		})
	}
}

func TestWeChatVerify(t *testing.T) {
	w, s, _ := wcNewPair(t, nil)
	s.answer = func(_ int, p wcPushed, rw http.ResponseWriter) {
		if p.q.Get("signature") != wcSign("testtoken", p.q.Get("timestamp"), p.q.Get("nonce")) {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(rw, p.q.Get("echostr"))
	}
	if ok, a := w.Verify(wcSoon(t)); !ok {
		t.Errorf("verification: %+v", a)
	}
	if ok, a := w.VerifyForged(wcSoon(t), Forgery{Signature: true}); !ok {
		t.Errorf("forged verification: %+v", a)
	}
	s.answer = func(_ int, p wcPushed, rw http.ResponseWriter) {
		_, _ = io.WriteString(rw, p.q.Get("echostr")+"\n")
	}
	if ok, _ := w.Verify(wcSoon(t)); ok {
		t.Error("an echo with a newline was taken")
	}
	if ok, _ := w.VerifyForged(wcSoon(t), Forgery{Signature: true}); ok {
		t.Error("an echo of a forged request counts as a refusal")
	}
}

func TestWeChatRetries(t *testing.T) {
	hang := func(from, to int, then string) func(int, wcPushed, http.ResponseWriter) {
		return func(n int, _ wcPushed, rw http.ResponseWriter) {
			if n >= from && n <= to {
				time.Sleep(700 * time.Millisecond)
				return
			}
			_, _ = io.WriteString(rw, then)
		}
	}
	cut := func(int, wcPushed, http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for _, tc := range []struct {
		name    string
		answer  func(int, wcPushed, http.ResponseWriter)
		lose    int
		illegal bool
		kinds   []string
		notice  bool
	}{
		{"first attempt", hang(0, 0, "success"), 0, false, []string{"success"}, false},
		{"third attempt", hang(1, 2, "success"), 0, false, []string{"timeout", "timeout", "success"}, false},
		{"never", hang(1, 9, ""), 0, false, []string{"timeout", "timeout", "timeout"}, true},
		{"cut", cut, 0, false, []string{"refused", "refused", "refused"}, true},
		{"lost answers", hang(0, 0, ""), 2, false, []string{"timeout", "timeout", "empty"}, false},
		{"illegal", hang(0, 0, "oops"), 0, false, []string{"illegal"}, true},
		{"illegal and again", hang(0, 0, "oops"), 0, true, []string{"illegal", "illegal", "illegal"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, s, _ := wcNewPair(t, func(c *WeChatConfig) {
				c.Mode, c.Timeout, c.RetryIllegal = ModeSafe, 500*time.Millisecond, tc.illegal
			})
			s.answer = tc.answer
			p := w.Text(wcTestUser, "hi")
			p.LoseAnswers = tc.lose
			d := w.Push(wcSoon(t), p)
			var kinds []string
			for _, a := range d.Attempts {
				kinds = append(kinds, a.Kind)
				if a.Kind == OutcomeTimeout && tc.lose == 0 && a.Took < 500*time.Millisecond {
					t.Errorf("gave up after %v", a.Took)
				}
			}
			if diff := cmp.Diff(tc.kinds, kinds); diff != "" {
				t.Errorf("attempts: %s", diff)
			}
			if d.Outcome != tc.kinds[len(tc.kinds)-1] || d.Notice != tc.notice {
				t.Errorf("outcome %s, notice %v", d.Outcome, d.Notice)
			}
			if seen := w.Seen(wcTestUser); (len(seen) == 1 && seen[0].Road == RoadSystem) != tc.notice {
				t.Errorf("seen %+v", seen)
			}
			got := s.pushes()
			for i, p := range got {
				if i > 0 && (p.xml != got[0].xml || p.body == got[0].body || p.q.Get("nonce") == got[0].q.Get("nonce")) {
					t.Errorf("attempt %d: same push, but signed and encrypted afresh, is expected", i+1)
				}
			}
		})
	}
}

func TestWeChatRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w, _, _ := wcNewPair(t, func(c *WeChatConfig) { c.CallbackURL = "http://" + l.Addr().String() })
	d := w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
	if d.Outcome != OutcomeRefused || len(d.Attempts) != 3 || !d.Notice || d.Attempts[0].Err == "" {
		t.Errorf("delivery %+v", d)
	}
}

func TestWeChatPushCancelled(t *testing.T) {
	w, s, _ := wcNewPair(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s.answer = func(int, wcPushed, http.ResponseWriter) { cancel(); time.Sleep(500 * time.Millisecond) }
	if d := w.Push(ctx, w.Text(wcTestUser, "hi")); d.Outcome != OutcomeCancelled || d.Notice || len(d.Attempts) != 1 {
		t.Errorf("delivery %+v", d)
	}
	s.answer = func(int, wcPushed, http.ResponseWriter) { go w.Close(); time.Sleep(500 * time.Millisecond) }
	if d := w.Push(t.Context(), w.Text(wcTestUser, "hi")); d.Outcome != OutcomeCancelled {
		t.Errorf("delivery %+v", d)
	}
}

func TestWeChatPushConcurrent(t *testing.T) {
	w, s, api := wcNewPair(t, nil)
	p := w.Text(wcTestUser, "hi")
	for _, d := range w.PushConcurrent(wcSoon(t), p, 4) {
		if d.Outcome != OutcomeSuccess || d.MsgID != p.MsgID {
			t.Errorf("delivery %+v", d)
		}
	}
	got := s.pushes()
	if len(got) != 4 || got[0].xml != got[3].xml {
		t.Errorf("%d pushes", len(got))
	}
	for range 5 {
		if c := wcSend(t, api, wcTextBody(wcTestUser, "x")); c != 0 {
			t.Fatalf("code %d", c)
		}
	}
	w.Push(wcSoon(t), p) // a late duplicate opens no new allowance
	if c := wcSend(t, api, wcTextBody(wcTestUser, "x")); c != 45047 {
		t.Errorf("code %d after a duplicate", c)
	}
}

func TestWeChatForgeries(t *testing.T) {
	for _, tc := range []struct {
		name  string
		forge Forgery
		check func(p wcPushed) bool
	}{
		{"no signature", Forgery{NoSignature: true}, func(p wcPushed) bool {
			return !p.q.Has("signature") && !p.q.Has("msg_signature") && !p.q.Has("nonce")
		}},
		{"signature", Forgery{Signature: true}, func(p wcPushed) bool {
			return len(p.q.Get("signature")) == 40 &&
				p.q.Get("signature") != wcSign("testtoken", p.q.Get("timestamp"), p.q.Get("nonce"))
		}},
		{"msg_signature", Forgery{MsgSignature: true}, func(p wcPushed) bool {
			enc, _ := parseWcXML([]byte(p.body))
			return p.q.Get("signature") == wcSign("testtoken", p.q.Get("timestamp"), p.q.Get("nonce")) &&
				p.q.Get("msg_signature") != wcSign("testtoken", p.q.Get("timestamp"), p.q.Get("nonce"), enc.child("Encrypt").text)
		}},
		{"another AppID", Forgery{AppID: "wxffffffffffffffff"}, func(p wcPushed) bool {
			enc, _ := parseWcXML([]byte(p.body))
			_, appID, _, err := mustWcCipher(wcKeyAbc).open(enc.child("Encrypt").text)
			return err == nil && appID == "wxffffffffffffffff"
		}},
		{"bad pad", Forgery{BadPad: true}, func(p wcPushed) bool { return p.xml == "does not open" }},
		{"cut", Forgery{Cut: true}, func(p wcPushed) bool { return p.xml == "does not open" }},
		{"plain", Forgery{Plain: true}, func(p wcPushed) bool {
			return !p.q.Has("encrypt_type") && strings.Contains(p.body, "<Content>")
		}},
		{"old", Forgery{Age: time.Hour}, func(p wcPushed) bool {
			sec, _ := strconv.ParseInt(p.q.Get("timestamp"), 10, 64)
			return time.Since(time.Unix(sec, 0)) > 59*time.Minute &&
				p.q.Get("signature") == wcSign("testtoken", p.q.Get("timestamp"), p.q.Get("nonce"))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, s, _ := wcNewPair(t, func(c *WeChatConfig) { c.Mode = ModeSafe })
			s.says(http.StatusForbidden, "no")
			p := w.Text(wcTestUser, "hi")
			p.Forge = tc.forge
			if d := w.Push(wcSoon(t), p); d.Outcome != OutcomeIllegal || d.Attempts[0].Status != http.StatusForbidden {
				t.Errorf("delivery %+v", d)
			}
			if got := s.pushes()[0]; !tc.check(got) {
				t.Errorf("sent %v %s", got.q, got.body)
			}
		})
	}
}

func TestWeChatRawPush(t *testing.T) {
	w, s, _ := wcNewPair(t, func(c *WeChatConfig) { c.Mode = ModeCompatible })
	p := w.Text(wcTestUser, "hi")
	p.Raw = []byte("<xml><A>1</A></xml>")
	w.Push(wcSoon(t), p)
	p.Body = []byte("not XML at all")
	w.Push(wcSoon(t), p)
	got := s.pushes()
	if got[0].xml != "<xml><A>1</A></xml>" || !strings.HasPrefix(got[0].body, "<xml><A>1</A><Encrypt>") {
		t.Errorf("raw: %q in %q", got[0].xml, got[0].body)
	}
	if got[1].body != "not XML at all" || got[1].q.Get("msg_signature") == "" {
		t.Errorf("body: %q", got[1].body)
	}
}

func TestWeChatMarkFail(t *testing.T) {
	w, s, _ := wcNewPair(t, func(c *WeChatConfig) { c.MarkFail = 2 })
	s.says(http.StatusInternalServerError, "")
	push := func() string { return w.Push(wcSoon(t), w.Text(wcTestUser, "hi")).Outcome }
	got := []string{push(), push(), push()}
	w.Advance(61 * time.Second)
	got = append(got, push())
	if diff := cmp.Diff([]string{"illegal", "illegal", "paused", "illegal"}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(s.pushes()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

func TestWeChatDeliveryJSON(t *testing.T) {
	b, err := json.Marshal(Attempt{Status: 200, Body: []byte("success"), Kind: "success", Took: 1500 * time.Microsecond})
	if err != nil || !strings.Contains(string(b), `"body":"success"`) || !strings.Contains(string(b), `"took_ms":1.5`) {
		t.Errorf("%s %v", b, err)
	}
}

func BenchmarkWeChatPush(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "success")
	}))
	defer s.Close()
	for _, mode := range []string{ModePlain, ModeSafe} {
		b.Run(mode, func(b *testing.B) {
			w := NewWeChat(WeChatConfig{AppID: wcTestAppID, AESKey: wcKeyAbc, Mode: mode, CallbackURL: s.URL})
			defer w.Close()
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if d := w.Push(b.Context(), w.Text(wcTestUser, "hello")); !d.Accepted() {
						b.Error(d.Outcome)
					}
				}
			})
		})
	}
}

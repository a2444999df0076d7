package wechat

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testToken = "testtoken"
	oldToken  = "oldtoken9"
	testTime  = 1700000000
	textPush  = `<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oTEST0000000000000000000000a]]></FromUserName><CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好]]></Content><MsgId>24000000000000001</MsgId></xml>`
)

func unixText(t testing.TB, s string) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(n, 0)
}

func safeBody(encrypt string) []byte {
	return []byte("<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><Encrypt><![CDATA[" + encrypt + "]]></Encrypt></xml>")
}

// signed returns the query of a push at testTime, encrypted if encrypt is given.
func signed(token, encrypt string) Query {
	ts, nonce := strconv.Itoa(testTime), "123456789"
	q := Query{Signature: Sign(token, ts, nonce), Timestamp: ts, Nonce: nonce}
	if encrypt != "" {
		q.EncryptType, q.MsgSignature = "aes", Sign(token, ts, nonce, encrypt)
	}
	return q
}

func TestParseQuery(t *testing.T) {
	tests := []struct {
		name, raw string
		want      Query
		err       string // a part of it
	}{
		{name: "empty", raw: ""},
		{
			name: "encrypted push", raw: "signature=s&timestamp=1&nonce=2&openid=o&encrypt_type=aes&msg_signature=m",
			want: Query{Signature: "s", Timestamp: "1", Nonce: "2", EncryptType: "aes", MsgSignature: "m"},
		},
		{name: "escapes", raw: "echostr=a%2Bb+c%3D&nonce=%E4%BD%A0", want: Query{EchoStr: "a+b c=", Nonce: "你"}},
		{name: "escaped name", raw: "%6eonce=2", want: Query{Nonce: "2"}},
		{name: "no value", raw: "nonce", want: Query{}},
		{name: "equals sign in value", raw: "nonce=a=b", want: Query{Nonce: "a=b"}},
		{name: "others may repeat and break", raw: "x=1&x=2&y=%zz&%zz=1&&nonce=2", want: Query{Nonce: "2"}},
		{name: "names are case-sensitive", raw: "Nonce=1&nonce=2", want: Query{Nonce: "2"}},
		{name: "semicolon does not separate", raw: "nonce=1;nonce=2", want: Query{Nonce: "1;nonce=2"}},
		{name: "repeated", raw: "nonce=1&timestamp=1&nonce=1", err: "nonce is repeated"},
		{name: "repeated, empty first", raw: "signature=&signature=x", err: "signature is repeated"},
		{name: "repeated under an escaped name", raw: "nonce=1&n%6fnce=2", err: "nonce is repeated"},
		{name: "bad escape", raw: "msg_signature=%zz", err: "msg_signature cannot be decoded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseQuery(tt.raw)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error = %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("ParseQuery = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	with := func(change func(*Query)) Query {
		q := signed(testToken, "")
		change(&q)
		return q
	}
	resign := func(timestamp, nonce string) Query {
		return Query{Signature: Sign(testToken, timestamp, nonce), Timestamp: timestamp, Nonce: nonce}
	}
	tests := []struct {
		name      string
		q         Query
		freshness time.Duration
		want      error
	}{
		{"good", signed(testToken, ""), 0, nil},
		{"previous token", signed(oldToken, ""), 0, nil},
		{"unknown token", signed("other", ""), 0, ErrSignature},
		{"empty token", signed("", ""), 0, ErrSignature},
		{"no signature", with(func(q *Query) { q.Signature = "" }), 0, ErrSignature},
		{"upper case", with(func(q *Query) { q.Signature = strings.ToUpper(q.Signature) }), 0, ErrSignature},
		{"cut short", with(func(q *Query) { q.Signature = q.Signature[:39] }), 0, ErrSignature},
		{"other timestamp", with(func(q *Query) { q.Timestamp = "1700000001" }), 0, ErrSignature},
		{"other nonce", with(func(q *Query) { q.Nonce = "1" }), 0, ErrSignature},
		{"cut up anew", with(func(q *Query) { q.Timestamp, q.Nonce = q.Nonce+q.Timestamp, "" }), 0, ErrSignature},
		{"edge of freshness, past", resign("1699999700", "1"), 5 * time.Minute, nil},
		{"edge of freshness, future", resign("1700000300", "1"), 5 * time.Minute, nil},
		{"too old", resign("1699999699", "1"), 5 * time.Minute, ErrStale},
		{"too new", resign("1700000301", "1"), 5 * time.Minute, ErrStale},
		{"old, unchecked", resign("1", "1"), 0, nil},
		{"no number", resign("soon", "1"), 5 * time.Minute, ErrStale},
		{"signed number", resign("+1700000000", "1"), 5 * time.Minute, ErrStale},
		{"number too long", resign("1700000000000000000000", "1"), 5 * time.Minute, ErrStale},
		{"milliseconds", resign("1700000000000", "1"), 5 * time.Minute, ErrStale},
		{"stale and wrong is wrong", with(func(q *Query) { q.Timestamp = "1" }), 5 * time.Minute, ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Callback{
				Tokens: []string{testToken, "", oldToken}, Encryption: Plain, Freshness: tt.freshness,
				Now: func() time.Time { return time.Unix(testTime, 0) },
			}
			if err := c.Verify(tt.q); !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
	if err := new(Callback).Verify(signed("", "")); !errors.Is(err, ErrSignature) {
		t.Errorf("no tokens at all: %v, want ErrSignature", err)
	}
}

func TestOpen(t *testing.T) {
	ci := mustCipher(t, alphabetKey, madeAppID)
	encrypt := func(c *Cipher, msg string) string {
		s, err := c.Encrypt([]byte(msg))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := encrypt(ci, textPush)
	foreign := encrypt(mustCipher(t, alphabetKey, "wxffffffffffffffff"), textPush)
	otherKey := encrypt(mustCipher(t, strings.Repeat("A", 43), madeAppID), textPush)
	both := strings.Replace(textPush, "</xml>", "<Encrypt><![CDATA["+good+"]]></Encrypt></xml>", 1)
	both = strings.Replace(both, "你好", "forged", 1)
	with := func(change func(*Query)) Query {
		q := signed(testToken, good)
		change(&q)
		return q
	}
	plain := signed(testToken, "")
	raw := plain
	raw.EncryptType = "raw"

	tests := []struct {
		name string
		mode Encryption
		q    Query
		body string
		err  error
		enc  bool
	}{
		{"plain in plain", Plain, plain, textPush, nil, false},
		{"raw in plain", Plain, raw, textPush, nil, false},
		{"plain is not parsed", Plain, plain, "<nonsense", nil, false},
		{"encrypted in plain", Plain, signed(testToken, good), string(safeBody(good)), ErrMode, false},
		{"plain in compatible", Compatible, plain, textPush, nil, false},
		{"raw in compatible", Compatible, raw, textPush, nil, false},
		{"both in compatible", Compatible, signed(testToken, good), both, nil, true},
		{"encrypted in compatible", Compatible, signed(testToken, good), string(safeBody(good)), nil, true},
		{"plaintext claimed encrypted, compatible", Compatible, signed(testToken, good), textPush, ErrDecrypt, false},
		{"encrypted in safe", Safe, signed(testToken, good), string(safeBody(good)), nil, true},
		{"previous token", Safe, signed(oldToken, good), string(safeBody(good)), nil, true},
		{"plain in safe", Safe, plain, textPush, ErrMode, false},
		{"raw in safe", Safe, raw, string(safeBody(good)), ErrMode, false},
		{"no encrypt_type in safe", Safe, with(func(q *Query) { q.EncryptType = "" }), string(safeBody(good)), ErrMode, false},
		{"unknown encrypt_type", Compatible, with(func(q *Query) { q.EncryptType = "AES" }), string(safeBody(good)), ErrMode, false},
		{"no mode", "", plain, textPush, ErrMode, false},
		{"no mode, encrypted", "", signed(testToken, good), string(safeBody(good)), ErrMode, false},
		{"no msg_signature", Safe, with(func(q *Query) { q.MsgSignature = "" }), string(safeBody(good)), ErrSignature, false},
		{"msg_signature without cipher text", Safe, with(func(q *Query) { q.MsgSignature = q.Signature }), string(safeBody(good)), ErrSignature, false},
		{"msg_signature of another text", Safe, signed(testToken, otherKey), string(safeBody(good)), ErrSignature, false},
		{"empty token", Safe, signed("", good), string(safeBody(good)), ErrSignature, false},
		{"another AppID inside", Safe, signed(testToken, foreign), string(safeBody(foreign)), ErrDecrypt, false},
		{"another key", Safe, signed(testToken, otherKey), string(safeBody(otherKey)), ErrDecrypt, false},
		{"cut cipher text", Safe, signed(testToken, good[:64]), string(safeBody(good[:64])), ErrDecrypt, false},
		{"empty Encrypt", Safe, signed(testToken, good), string(safeBody("")), ErrDecrypt, false},
		{"no Encrypt", Safe, signed(testToken, good), "<xml><ToUserName>a</ToUserName></xml>", ErrDecrypt, false},
		{"two Encrypts", Safe, signed(testToken, good), "<xml><Encrypt>" + good + "</Encrypt><Encrypt>" + good + "</Encrypt></xml>", ErrDecrypt, false},
		{"Encrypt too deep", Safe, signed(testToken, good), "<xml><a><Encrypt>" + good + "</Encrypt></a></xml>", ErrDecrypt, false},
		{"encrypt in another case", Safe, signed(testToken, good), "<xml><encrypt>" + good + "</encrypt></xml>", ErrDecrypt, false},
		{"DOCTYPE", Safe, signed(testToken, good), "<!DOCTYPE xml>" + string(safeBody(good)), ErrDecrypt, false},
		{"empty body", Safe, signed(testToken, good), "", ErrDecrypt, false},
		{"pretty-printed", Safe, signed(testToken, good), "<?xml version=\"1.0\"?>\n<xml>\n <Encrypt>\n<![CDATA[" + good + "]]>\n</Encrypt>\n</xml>\n", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Callback{Tokens: []string{testToken, oldToken}, Ciphers: []*Cipher{nil, ci}, Encryption: tt.mode}
			e, err := c.Open(tt.q, []byte(tt.body))
			if !errors.Is(err, tt.err) {
				t.Fatalf("Open: %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				if err != tt.err || e != nil { // the bare error: no detail
					t.Errorf("Open = %v, %v; want nil and the bare error", e, err)
				}
				return
			}
			want := tt.body
			if tt.enc {
				want = textPush
			}
			if e.Encrypted != tt.enc || string(e.XML) != want {
				t.Errorf("Open = %q, encrypted %v", e.XML, e.Encrypted)
			}
		})
	}
	c := Callback{Tokens: []string{testToken}, Encryption: Safe}
	if _, err := c.Open(signed(testToken, good), safeBody(good)); !errors.Is(err, ErrDecrypt) {
		t.Errorf("no ciphers: %v, want ErrDecrypt", err)
	}
}

type sealed struct {
	XMLName                           xml.Name `xml:"xml"`
	Encrypt, MsgSignature, Nonce      string
	TimeStamp                         string
	ToUserName, FromUserName, Content string
}

func TestSeal(t *testing.T) {
	now := time.Unix(1700000123, 0)
	current := mustCipher(t, alphabetKey, madeAppID)
	previous := mustCipher(t, strings.Repeat("A", 43), madeAppID)
	c := Callback{Tokens: []string{testToken, oldToken}, Ciphers: []*Cipher{current, previous}, Encryption: Compatible}
	reply := []byte("<xml><Content>hi</Content></xml>")

	for _, token := range c.Tokens {
		for i, ci := range c.Ciphers {
			t.Run(fmt.Sprint(token, i), func(t *testing.T) {
				enc, err := ci.Encrypt([]byte(textPush))
				if err != nil {
					t.Fatal(err)
				}
				e, err := c.Open(signed(token, enc), safeBody(enc))
				if err != nil {
					t.Fatal(err)
				}
				out, err := e.Seal(reply, now)
				if err != nil {
					t.Fatal(err)
				}
				var s sealed
				if err := xml.Unmarshal(out, &s); err != nil {
					t.Fatal(err)
				}
				if s.TimeStamp != "1700000123" || s.Nonce != "123456789" {
					t.Errorf("TimeStamp %q, Nonce %q", s.TimeStamp, s.Nonce)
				}
				if want := Sign(token, s.TimeStamp, s.Nonce, s.Encrypt); s.MsgSignature != want {
					t.Errorf("MsgSignature = %s, want %s", s.MsgSignature, want)
				}
				if got, err := ci.Decrypt(s.Encrypt); err != nil || string(got) != string(reply) {
					t.Errorf("inside: %q, %v", got, err)
				}
				for _, ack := range []string{"", "success"} {
					if out, err := e.Seal([]byte(ack), now); err != nil || string(out) != ack {
						t.Errorf("Seal(%q) = %q, %v; want it as it is", ack, out, err)
					}
				}
			})
		}
	}

	t.Run("plain", func(t *testing.T) {
		e, err := c.Open(signed(testToken, ""), []byte(textPush))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := e.Seal(reply, now); err != nil || string(out) != string(reply) {
			t.Errorf("Seal = %q, %v; want the reply as it is", out, err)
		}
	})
	t.Run("not opened", func(t *testing.T) {
		if _, err := (&Envelope{Encrypted: true}).Seal(reply, now); err == nil {
			t.Error("no error")
		}
	})
}

func TestSealNonce(t *testing.T) {
	ci := mustCipher(t, alphabetKey, madeAppID)
	for _, nonce := range []string{"", "a]]>b", "<x>", "a\tb", "你", strings.Repeat("1", 65)} {
		e := &Envelope{Encrypted: true, token: testToken, cipher: ci, nonce: nonce}
		out, err := e.Seal([]byte("<xml></xml>"), time.Unix(testTime, 0))
		if err != nil {
			t.Fatal(err)
		}
		var s sealed
		if err := xml.Unmarshal(out, &s); err != nil {
			t.Fatal(err)
		}
		if s.Nonce == nonce || s.Nonce == "" || s.MsgSignature != Sign(testToken, s.TimeStamp, s.Nonce, s.Encrypt) {
			t.Errorf("nonce %q: reply has %q, signed %s", nonce, s.Nonce, s.MsgSignature)
		}
	}
}

// TestNothingShown prints what holds secrets in the ways that a careless log would.
func TestNothingShown(t *testing.T) {
	ci := mustCipher(t, alphabetKey, madeAppID)
	cb := Callback{Tokens: []string{"sesame123"}, Ciphers: []*Cipher{ci}, Encryption: Safe}
	env := Envelope{XML: []byte("sesame123"), token: "sesame123", cipher: ci}
	cfg := Config{AppID: madeAppID, AppSecret: "sesame123"}
	cl, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	cl.token.set("sesame123", time.Now(), time.Hour)
	iv := fmt.Sprintf("%d", ci.iv[:8])
	for _, v := range []any{cb, &cb, env, &env, cfg, &cfg, cl, ci} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, "sesame") || strings.Contains(out, strings.Trim(iv, "[]")) {
				t.Errorf("%s of %T shows a secret: %s", verb, v, out)
			}
		}
	}
}

func TestMatchTokenFirstOfEqual(t *testing.T) {
	i, ok := matchToken([]string{"b", "a", "a"}, Sign("a", "1", "2"), "1", "2", nil)
	if diff := cmp.Diff([]any{1, true}, []any{i, ok}); diff != "" {
		t.Error(diff)
	}
}

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// received is what a server makes of a request.
func received(t *testing.T, mode wechat.Encryption, raw []byte) *wechat.Push {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(raw))
	req, err := http.ReadRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || r.Buffered() > 0 {
		t.Fatalf("%d bytes behind the request, %v", r.Buffered(), err)
	}
	cipher, err := wechat.NewCipher(aesKey, appID)
	if err != nil {
		t.Fatal(err)
	}
	cb := &wechat.Callback{Tokens: []string{token}, Ciphers: []*wechat.Cipher{cipher}, Encryption: mode, Freshness: 1e9 * 60}
	q, err := wechat.ParseQuery(req.URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	if err := cb.Verify(q); err != nil {
		t.Fatal(err)
	}
	env, err := cb.Open(q, body)
	if err != nil {
		t.Fatal(err)
	}
	p, err := wechat.ParsePush(env.XML)
	if err != nil {
		t.Fatal(err)
	}
	if got := req.URL.Query().Get("openid"); got != p.FromUserName {
		t.Errorf("the URL names %q, the push %q", got, p.FromUserName)
	}
	return p
}

func TestPushesAreWeChats(t *testing.T) {
	sg := newSigner("127.0.0.1:1")
	plain := sg.plain()
	safe, err := sg.safe()
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]bool)
	all := []message{{0, 0}, {12, 3456789}, {9999999, 1}, {1, 9999999}}
	for _, m := range all {
		for mode, raw := range map[wechat.Encryption]func() ([]byte, error){
			wechat.Plain: func() ([]byte, error) { return plain.fill(m), nil },
			wechat.Safe:  func() ([]byte, error) { return safe.seal(m) },
		} {
			t.Run(fmt.Sprint(mode, m), func(t *testing.T) {
				b, err := raw()
				if err != nil {
					t.Fatal(err)
				}
				p := received(t, mode, b)
				if p.FromUserName != openID(m.user) || len(p.FromUserName) != 28 {
					t.Errorf("openid %q", p.FromUserName)
				}
				text, ok := p.Body.(*wechat.Text)
				if !ok || !slices.Equal(slices.Collect(messagesIn([]byte(text.Content))), []message{m}) {
					t.Errorf("body %+v", p.Body)
				}
				keys[p.Key()] = true
			})
		}
	}
	if len(keys) != len(all) {
		t.Errorf("%d keys for %d messages", len(keys), len(all))
	}
}

func TestVerificationIsWeChats(t *testing.T) {
	raw, want := newSigner("127.0.0.1:1").verification()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	q, err := wechat.ParseQuery(req.URL.RawQuery)
	if err != nil || q.EchoStr != want {
		t.Errorf("%+v, %v", q, err)
	}
	if err := (&wechat.Callback{Tokens: []string{token}}).Verify(q); err != nil {
		t.Error(err)
	}
}

func TestMessagesIn(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []message
	}{
		{"none", "hello", nil},
		{"empty", "", nil},
		{"one", `{"text":"echo: load-0000012-0000034. x"}`, []message{{12, 34}}},
		{"two merged", "load-0000001-0000002. \n load-0000001-0000003.", []message{{1, 2}, {1, 3}}},
		{"cut", "load-0000012-000003", nil},
		{"no number", "load-000001x-0000034. load-0000001-0000001", []message{{1, 1}}},
		{"no dash", "load-0000012/0000034.", nil},
		{"within itself", "load-load-0000001-0000001", []message{{1, 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := slices.Collect(messagesIn([]byte(tc.in))); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// FuzzMessagesIn: whatever comes, it ends, and names what can be named.
func FuzzMessagesIn(f *testing.F) {
	f.Add([]byte("load-0000012-0000034."))
	f.Add([]byte("load-load-0000012-0000034load-"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		for m := range messagesIn(in) {
			n++
			if !bytes.Contains(in, fmt.Appendf(nil, "%s%07d-%07d", nameStart, m.user, m.seq)) {
				t.Errorf("%v is not in there", m)
			}
		}
		if n > len(in)/(len(nameStart)+2*digits+1) {
			t.Errorf("%d messages in %d bytes", n, len(in))
		}
	})
}

func TestWalk(t *testing.T) {
	w := walk{first: 8, count: 3, limit: 7}
	var got []message
	for m, ok := w.step(); ok; m, ok = w.step() {
		got = append(got, m)
	}
	want := []message{{8, 0}, {9, 0}, {10, 0}, {8, 1}, {9, 1}, {10, 1}, {8, 2}}
	if !slices.Equal(got, want) || w.k != 7 {
		t.Errorf("got %v and k %d, want %v", got, w.k, want)
	}
	if w.at(4) != want[4] {
		t.Errorf("at(4) is %v, want %v", w.at(4), want[4])
	}
}

package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	testSecret = "0123456789abcdef0123456789abcdef"
	tokenJSON  = `{"access_token":"TOKEN-%d","expires_in":7200}`
	okJSON     = `{"errcode":0,"errmsg":"ok"}`
)

// cloud is WeChat's side as a RoundTripper: it issues tokens TOKEN-1, TOKEN-2, ...
// and answers other calls by a function. It records what it was asked.
type cloud struct {
	// token answers the n-th request for a token; nil issues TOKEN-n.
	token func(n int, r *http.Request) (*http.Response, error)
	// call answers the n-th other request; nil says ok.
	call func(n int, r *http.Request) (*http.Response, error)

	mu     sync.Mutex
	tokens []*http.Request
	calls  []*http.Request
	bodies [][]byte // of calls
}

func (cl *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	cl.mu.Lock()
	isToken := strings.HasSuffix(r.URL.Path, pathToken)
	if isToken {
		cl.tokens = append(cl.tokens, r)
	} else {
		cl.calls, cl.bodies = append(cl.calls, r), append(cl.bodies, body)
	}
	nt, nc := len(cl.tokens), len(cl.calls)
	cl.mu.Unlock()
	switch {
	case isToken && cl.token != nil:
		return cl.token(nt, r)
	case isToken:
		return answer(fmt.Sprintf(tokenJSON, nt)), nil
	case cl.call != nil:
		return cl.call(nc, r)
	}
	return answer(okJSON), nil
}

// asked returns how many requests for tokens and for other things there were.
func (cl *cloud) asked() [2]int {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return [2]int{len(cl.tokens), len(cl.calls)}
}

func answer(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func mustClient(t testing.TB, rt http.RoundTripper, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{AppID: madeAppID, AppSecret: testSecret, HTTP: &http.Client{Transport: rt}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNewClient(t *testing.T) {
	tests := []struct {
		name, appID, secret, base string
		ok                        bool
	}{
		{"default", madeAppID, testSecret, "", true},
		{"path prefix", madeAppID, testSecret, "http://127.0.0.1:8/wechat/", true},
		{"no AppID", "", testSecret, "", false},
		{"no secret", madeAppID, "", "", false},
		{"no scheme", madeAppID, testSecret, "api.weixin.qq.com", false},
		{"other scheme", madeAppID, testSecret, "ftp://api.weixin.qq.com", false},
		{"no host", madeAppID, testSecret, "https://:443/", false},
		{"user", madeAppID, testSecret, "https://sesame:open@x/", false},
		{"query", madeAppID, testSecret, "https://x/?sesame=1", false},
		{"fragment", madeAppID, testSecret, "https://x/#sesame", false},
		{"not a URL", madeAppID, testSecret, "https://sesame:%zz@x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewClient(Config{AppID: tt.appID, AppSecret: tt.secret, BaseURL: tt.base})
			if (err == nil) != tt.ok {
				t.Fatalf("error = %v, want ok %v", err, tt.ok)
			}
			if err != nil {
				if strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), testSecret) {
					t.Errorf("the error shows a secret: %v", err)
				}
				return
			}
			c.Close()
		})
	}
}

func TestRequests(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl, func(cfg *Config) { cfg.BaseURL, cfg.UserAgent = "https://hk.example/base/", "agent/1" })
	if err := c.Send(t.Context(), "oA", TextMessage("hi")); err != nil {
		t.Fatal(err)
	}
	token, send := cl.tokens[0], cl.calls[0]
	if got := token.Method + " " + token.URL.String(); got != "POST https://hk.example/base/cgi-bin/stable_token" {
		t.Errorf("token request: %s", got)
	}
	body, _ := io.ReadAll(token.Body)
	if want := `{"grant_type":"client_credential","appid":"` + madeAppID + `","secret":"` + testSecret + `","force_refresh":false}`; string(body) != want {
		t.Errorf("token request: %s", body)
	}
	if got := send.Method + " " + send.URL.String(); got != "POST https://hk.example/base/cgi-bin/message/custom/send?access_token=TOKEN-1" {
		t.Errorf("send request: %s", got)
	}
	for _, r := range []*http.Request{token, send} {
		if r.Header.Get("User-Agent") != "agent/1" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("header: %v", r.Header)
		}
		if _, ok := r.Context().Deadline(); !ok {
			t.Errorf("%s has no deadline", r.URL.Path)
		}
	}
}

func TestDeadlines(t *testing.T) {
	cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case pathUpload:
			return answer(`{"media_id":"m"}`), nil
		case pathCallbackIPs:
			return answer(`{"ip_list":["192.0.2.1"]}`), nil
		}
		return answer(okJSON), nil
	}}
	c := mustClient(t, cl)
	ctx := context.WithoutCancel(t.Context())
	start := time.Now()
	_, err1 := c.CallbackIPs(ctx)
	_, err2 := c.Upload(ctx, MediaImage, "a.png", []byte("x"))
	err := errors.Join(err1, err2, c.Send(ctx, "o", TextMessage("a")), c.Typing(ctx, "o", true))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(cl.tokens, cl.calls...) {
		want := 10 * time.Second
		if r.URL.Path == pathUpload {
			want = 30 * time.Second
		}
		end, ok := r.Context().Deadline()
		if d := end.Sub(start); !ok || d < want || d > want+5*time.Second {
			t.Errorf("%s: deadline in %v, want %v", r.URL.Path, d, want)
		}
	}
}

func TestSendBodies(t *testing.T) {
	tests := []struct {
		name string
		m    Message
		want string // of the object after msgtype
	}{
		{"text", TextMessage("你好 <a href=\"https://x/?a=1&b\">t</a>\n'\\u0041'"), `"msgtype":"text","text":{"content":"你好 <a href=\"https://x/?a=1&b\">t</a>\n'\\u0041'"}`},
		{"text to be cleaned", TextMessage("a\u2028b\u2029c\x00\x1b\x08d\te\r\nf\xffg"), "\"msgtype\":\"text\",\"text\":{\"content\":\"a\\nb\\ncd e\\nf\ufffdg\"}"},
		{"image", ImageMessage("m1"), `"msgtype":"image","image":{"media_id":"m1"}`},
		{"voice", VoiceMessage("m1"), `"msgtype":"voice","voice":{"media_id":"m1"}`},
		{"video", VideoMessage("m1", "t1", "T", "D"), `"msgtype":"video","video":{"media_id":"m1","thumb_media_id":"t1","title":"T","description":"D"}`},
		{"music", MusicMessage(MusicReply{"T", "D", "u", "hq", "t1"}), `"msgtype":"music","music":{"title":"T","description":"D","musicurl":"u","hqmusicurl":"hq","thumb_media_id":"t1"}`},
		{"news", NewsMessage(Article{"T", "D", "https://x/?a&b", "p"}), `"msgtype":"news","news":{"articles":[{"title":"T","description":"D","url":"https://x/?a&b","picurl":"p"}]}`},
		{"mpnews", MPNewsMessage("m1"), `"msgtype":"mpnews","mpnews":{"media_id":"m1"}`},
		{"mpnewsarticle", ArticleMessage("a1"), `"msgtype":"mpnewsarticle","mpnewsarticle":{"article_id":"a1"}`},
		{"msgmenu", MenuMessage("h", []MenuItem{{"101", "满意"}, {"102", "不"}}, "t"), `"msgtype":"msgmenu","msgmenu":{"head_content":"h","list":[{"id":"101","content":"满意"},{"id":"102","content":"不"}],"tail_content":"t"}`},
		{"wxcard", CardMessage("c1"), `"msgtype":"wxcard","wxcard":{"card_id":"c1"}`},
		{"miniprogrampage", MiniProgramMessage("T", "wx1", "p/p", "t1"), `"msgtype":"miniprogrampage","miniprogrampage":{"title":"T","appid":"wx1","pagepath":"p/p","thumb_media_id":"t1"}`},
		{"agent and AI", func() Message {
			m := TextMessage("a")
			m.Agent, m.AI = "agent1@gzh", true
			return m
		}(), `"msgtype":"text","text":{"content":"a"},"customservice":{"kf_account":"agent1@gzh"},"aimsgcontext":{"is_ai_msg":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cl := &cloud{}
			if err := mustClient(t, cl).Send(t.Context(), "oA", tt.m); err != nil {
				t.Fatal(err)
			}
			if got, want := string(cl.bodies[0]), `{"touser":"oA",`+tt.want+`}`; got != want {
				t.Errorf("body\n got %s\nwant %s", got, want)
			}
			if !strings.Contains(tt.want, `"msgtype":"`+tt.m.Kind()+`"`) {
				t.Errorf("Kind = %q", tt.m.Kind())
			}
		})
	}
}

func TestSendIncomplete(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl)
	for name, m := range map[string]Message{
		"zero": {}, "text": TextMessage(""), "text of controls": TextMessage("\x00"), "image": ImageMessage(""),
		"voice": VoiceMessage(""), "video": VideoMessage("", "t", "T", "D"), "music": MusicMessage(MusicReply{Title: "T"}),
		"news": NewsMessage(Article{}), "mpnews": MPNewsMessage(""), "article": ArticleMessage(""),
		"menu": MenuMessage("h", nil, "t"), "menu with an empty choice": MenuMessage("h", []MenuItem{{"1", "a"}, {"2", "\x00"}, {"3", "b"}}, "t"), "card": CardMessage(""), "mini program": MiniProgramMessage("T", "", "p", "t"),
	} {
		if err := c.Send(t.Context(), "oA", m); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v, want ErrMessage", name, err)
		}
	}
	if err := c.Send(t.Context(), "", TextMessage("a")); !errors.Is(err, ErrMessage) {
		t.Errorf("no receiver: %v, want ErrMessage", err)
	}
	if _, err := c.Upload(t.Context(), MediaImage, "a.png", nil); !errors.Is(err, ErrMessage) {
		t.Errorf("no data: %v, want ErrMessage", err)
	}
	if got := cl.asked(); got != [2]int{} {
		t.Errorf("WeChat was asked: %v", got)
	}
}

// TestSendText states what WeChat needs of any text: raw UTF-8 and no \u escape.
func TestSendText(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl)
	rapid.Check(t, func(rt *rapid.T) {
		text := anyText().Draw(rt, "text")
		err := c.Send(t.Context(), "oA", TextMessage(text))
		if errors.Is(err, ErrMessage) {
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		body := cl.bodies[len(cl.bodies)-1]
		var got struct{ Text struct{ Content string } }
		if err := json.Unmarshal(body, &got); err != nil || got.Text.Content != cleanText(text) {
			rt.Fatalf("sent %q, %v", got.Text.Content, err)
		}
		if strings.Contains(strings.ReplaceAll(string(body), `\\`, ""), `\u`) {
			rt.Fatalf("escaped: %s", body)
		}
	})
}

func TestTyping(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl)
	if err := errors.Join(c.Typing(t.Context(), "oA", true), c.Typing(t.Context(), "oA", false)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`{"touser":"oA","command":"Typing"}`, `{"touser":"oA","command":"CancelTyping"}`} {
		if string(cl.bodies[i]) != want || cl.calls[i].URL.Path != "/cgi-bin/message/custom/typing" || cl.calls[i].Method != http.MethodPost {
			t.Errorf("%s %s: %s", cl.calls[i].Method, cl.calls[i].URL.Path, cl.bodies[i])
		}
	}
}

func TestUpload(t *testing.T) {
	data := []byte("\x89PNG\r\n\x00\xff--boundary")
	tests := []struct {
		name               string
		kind               MediaKind
		filename, reply    string
		wantName, wantType string
		want               Media
		wantErr            bool
		wantClock          bool // CreatedAt is our own time
	}{
		{name: "image", kind: MediaImage, filename: "a.png", reply: `{"type":"image","media_id":"M","created_at":1700000000}`, wantName: "a.png", wantType: "image/png", want: Media{ID: "M", CreatedAt: time.Unix(1700000000, 0)}},
		{name: "voice without extension", kind: MediaVoice, filename: "a", reply: `{"media_id":"M","created_at":"1700000000"}`, wantName: "a.mp3", wantType: "audio/mpeg", want: Media{ID: "M", CreatedAt: time.Unix(1700000000, 0)}},
		{name: "video without name", kind: MediaVideo, filename: "", reply: `{"media_id":"M"}`, wantName: "media.mp4", wantType: "video/mp4", want: Media{ID: "M"}, wantClock: true},
		{name: "thumb", kind: MediaThumb, filename: "A.JPG", reply: `{"type":"thumb","thumb_media_id":"M","created_at":1700000000}`, wantName: "A.jpg", wantType: "image/jpeg", want: Media{ID: "M", CreatedAt: time.Unix(1700000000, 0)}},
		{name: "hostile name", kind: MediaImage, filename: "C:\\x\\../a\"\r\nb你.gif", reply: `{"media_id":"M","created_at":1700000000}`, wantName: "a___b.gif", wantType: "image/gif", want: Media{ID: "M", CreatedAt: time.Unix(1700000000, 0)}},
		{name: "dots", kind: MediaImage, filename: "..", reply: `{"media_id":"M","created_at":1700000000}`, wantName: "media.jpg", wantType: "image/jpeg", want: Media{ID: "M", CreatedAt: time.Unix(1700000000, 0)}},
		{name: "other type", kind: MediaImage, filename: "a.webp", reply: `{"media_id":"M","created_at":1700000000}`, wantName: "a.webp", wantType: "application/octet-stream", want: Media{ID: "M", CreatedAt: time.Unix(1700000000, 0)}},
		{name: "no id", kind: MediaImage, filename: "a.png", reply: `{"errcode":0}`, wantName: "a.png", wantType: "image/png", wantErr: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1600000000, 0)
			cl := &cloud{call: func(int, *http.Request) (*http.Response, error) { return answer(tt.reply), nil }}
			c := mustClient(t, cl, func(cfg *Config) { cfg.Now = func() time.Time { return now } })
			got, err := c.Upload(t.Context(), tt.kind, tt.filename, data)
			if (err != nil) != tt.wantErr {
				t.Fatal(err)
			}
			if tt.wantClock {
				tt.want.CreatedAt = now
			}
			if got != tt.want {
				t.Errorf("Upload = %+v, want %+v", got, tt.want)
			}
			r := cl.calls[0]
			if got := r.URL.RequestURI(); got != "/cgi-bin/media/upload?access_token=TOKEN-1&type="+string(tt.kind) {
				t.Errorf("asked %s", got)
			}
			checkForm(t, r.Header.Get("Content-Type"), cl.bodies[0], tt.wantName, tt.wantType, data)
		})
	}
}

func checkForm(t *testing.T, contentType string, body []byte, name, partType string, data []byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	part, err := r.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(part)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("data %q, %v", got, err)
	}
	if part.FormName() != "media" || part.FileName() != name || part.Header.Get("Content-Type") != partType {
		t.Errorf("part %v, want media, %s, %s", part.Header, name, partType)
	}
	if _, err := r.NextPart(); !errors.Is(err, io.EOF) {
		t.Errorf("a second part: %v", err)
	}
}

func TestUploadAgain(t *testing.T) {
	cl := &cloud{call: func(n int, _ *http.Request) (*http.Response, error) {
		if n == 1 {
			return answer(`{"errcode":42001,"errmsg":"expired"}`), nil
		}
		return answer(`{"media_id":"M"}`), nil
	}}
	if _, err := mustClient(t, cl).Upload(t.Context(), MediaImage, "a.png", []byte("data")); err != nil {
		t.Fatal(err)
	}
	if len(cl.bodies) != 2 || !bytes.Equal(cl.bodies[0], cl.bodies[1]) || len(cl.bodies[0]) == 0 {
		t.Errorf("the second attempt sent %q, the first %q", cl.bodies[1], cl.bodies[0])
	}
}

func TestCallbackIPs(t *testing.T) {
	prefixes := func(ss ...string) (out []netip.Prefix) {
		for _, s := range ss {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	tests := []struct {
		name, reply string
		want        []netip.Prefix
	}{
		{"addresses and prefixes", `{"ip_list":["101.226.62.77","101.226.103.7/25"," 2001:db8::1 ","::ffff:192.0.2.1"]}`, prefixes("101.226.62.77/32", "101.226.103.0/25", "2001:db8::1/128", "192.0.2.1/32")},
		{"some cannot be read", `{"ip_list":["x","101.226.62.*","192.0.2.1","fe80::1%eth0",""]}`, prefixes("192.0.2.1/32")},
		{"none can be read", `{"ip_list":["x"]}`, nil},
		{"empty", `{"ip_list":[]}`, nil},
		{"absent", `{}`, nil},
		{"other type", `{"ip_list":"192.0.2.1"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cl := &cloud{call: func(int, *http.Request) (*http.Response, error) { return answer(tt.reply), nil }}
			got, err := mustClient(t, cl).CallbackIPs(t.Context())
			var te *TransportError
			if tt.want == nil && (!errors.As(err, &te) || te.Ambiguous()) || tt.want != nil && err != nil {
				t.Fatalf("error = %v", err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			if got := cl.calls[0].Method + " " + cl.calls[0].URL.RequestURI(); got != "GET /cgi-bin/getcallbackip?access_token=TOKEN-1" {
				t.Errorf("asked %s", got)
			}
		})
	}
}

func TestOwnTransport(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pathToken {
			fmt.Fprintf(w, tokenJSON, 1)
			return
		}
		fmt.Fprint(w, okJSON)
	}))
	defer srv.Close()
	c := mustClient(t, nil, func(cfg *Config) { cfg.HTTP, cfg.BaseURL = nil, srv.URL })
	if err := c.Send(t.Context(), "oA", TextMessage("hi")); err != nil {
		t.Fatal(err)
	}
}

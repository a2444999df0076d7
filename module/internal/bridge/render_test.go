package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// apiLog answers WeChat's API and keeps the last message sent.
type apiLog struct{ sent string }

func (a *apiLog) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "token") {
		return answered(`{"access_token":"t","expires_in":7200}`), nil
	}
	body, err := io.ReadAll(req.Body)
	a.sent = string(body)
	return answered(`{"errcode":0}`), err
}

// wire is what WeChat gets of parts, by either road.
type wire struct {
	t      testing.TB
	api    *apiLog
	client *wechat.Client
}

func newWire(t testing.TB) *wire {
	w := &wire{t: t, api: &apiLog{}}
	var err error
	w.client, err = wechat.NewClient(wechat.Config{AppID: "wx", AppSecret: "s", BaseURL: "http://wechat.invalid", HTTP: &http.Client{Transport: w.api}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	return w
}

// pushed is a part as the body of a customer-service message, its file uploaded.
func (w *wire) pushed(p part) string {
	w.t.Helper()
	p.media, p.thumb = "MEDIA", "THUMB"
	if err := w.client.Send(context.Background(), "oAlice", p.message()); err != nil {
		w.t.Fatalf("part %+v cannot be pushed: %v", p, err)
	}
	return w.api.sent
}

// replied is a part as a passive reply, from the message type on.
func (w *wire) replied(p part) string {
	w.t.Helper()
	p.media = "MEDIA"
	xml, err := wechat.EncodeReply(&wechat.Push{FromUserName: "oAlice", ToUserName: "gh", MsgType: "text"}, p.reply(), time.Unix(1, 0))
	if err != nil {
		w.t.Fatalf("part %+v cannot be replied: %v", p, err)
	}
	_, body, _ := strings.Cut(string(xml), "</CreateTime>")
	return strings.TrimSuffix(body, "</xml>")
}

// TestRender compares the exact messages that payloads become with golden files:
// pushed, as passive replies, and, of media, the text that stands in for them.
func TestRender(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/content/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			payload, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := golden(newWire(t), bytes.TrimSpace(payload))
			name := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// golden writes down what a payload becomes. Styles that show nothing else than the
// first one are left out.
func golden(w *wire, payload json.RawMessage) string {
	var b strings.Builder
	for i, style := range []ChoiceStyle{ChoiceLinks, ChoiceNumbers, ChoiceMenu} {
		rd := render(contentSettings(style), "msg_01", payload)
		if i > 0 && len(rd.options) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# %s\n", style)
		if rd.dead != "" {
			fmt.Fprintf(&b, "dead: %s\n", rd.dead)
		}
		for _, o := range rd.options {
			fmt.Fprintf(&b, "option %d %q = %q\n", o.Number, o.Label, o.Value)
		}
		for _, p := range rd.parts {
			fmt.Fprintf(&b, "push:  %s\nreply: %s\n", w.pushed(p), w.replied(p))
			if p.url != "" {
				fmt.Fprintf(&b, "file:  %s\n", p.url)
			}
			if p.fallBack() {
				fmt.Fprintf(&b, "else:  %q\n", p.text)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func contentSettings(style ChoiceStyle) *Settings {
	return &Settings{
		Choices: style, Reply: ReplyAuto, Notices: Notices{Failed: "FAILED"},
		Allowance: Allowance{Message: Grant{Count: 5}},
	}
}

// TestPassiveCard: an account that can only answer shows a card as one text if there
// is more to it than a card holds; what follows a card would have to wait.
func TestPassiveCard(t *testing.T) {
	t.Parallel()
	const (
		begins = `{"type":"card","title":"T","subtitle":"S","imageUrl":"https://example.com/a.png","actions":[`
		open   = `{"action":"url","label":"Open","value":"https://example.com/o"}`
		buy    = `{"action":"say","label":"Buy","value":"b"}`
	)
	for payload, want := range map[string]string{
		begins + `]}`:                    "",
		begins + open + `]}`:             "",
		begins + buy + `]}`:              "<a href=\"https://example.com/a.png\">T</a>\nS\n1. Buy",
		begins + open + "," + buy + `]}`: "T\nS\n<a href=\"https://example.com/o\">Open</a>\n1. Buy",
	} {
		s := contentSettings(ChoiceNumbers)
		s.Reply = ReplyPassive
		rd := render(s, "msg_01", json.RawMessage(payload))
		if len(rd.parts) != 1 || (rd.parts[0].kind == partNews) != (want == "") || rd.parts[0].text != want {
			t.Errorf("%s\nbecomes %+v, not %q", payload, rd.parts, want)
		}
	}
}

// TestFallBack: what WeChat does not take becomes a text, once.
func TestFallBack(t *testing.T) {
	t.Parallel()
	const at = "https://example.com/a.png"
	for _, tc := range []struct {
		name string
		part part
		want string
	}{
		{"picture", part{kind: partImage, url: at, title: "A"}, `<a href="https://example.com/a.png">A</a>`},
		{"voice without a title", part{kind: partVoice, url: at + "?token=s3cret"}, `<a href="https://example.com/a.png?token=s3cret">a.png</a>`},
		{"address too long for a link", part{kind: partVideo, url: at + "?" + strings.Repeat("x", 2000), title: "A"}, "A\n" + at + "?" + strings.Repeat("x", 2000)},
		{"card", part{kind: partNews, article: wechat.Article{Title: "T", Description: "D", URL: at}}, "<a href=\"https://example.com/a.png\">T</a>\nD"},
		{"menu", part{kind: partMenu, text: "1. A"}, "1. A"},
		{"nowhere", part{kind: partImage}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := tc.part
			if fell := p.fallBack(); fell != (tc.want != "") || fell && (p.kind != partText || p.text != tc.want) {
				t.Errorf("fell back %v to %+v", fell, p)
			}
			if tc.want != "" && p.fallBack() {
				t.Error("it fell back twice")
			}
		})
	}
}

// TestLinks: what stands in a link cannot end it.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ title, address, want string }{
		{"A", "https://example.com/", `<a href="https://example.com/">A</a>`},
		{"", "https://example.com/%E5%9B%BE.png?x=1", `<a href="https://example.com/%E5%9B%BE.png?x=1">图.png</a>`},
		{"", "https://example.com", `<a href="https://example.com">example.com</a>`},
		{`"><b>`, `https://example.com/"><b>`, `<a href="https://example.com/%22%3E%3Cb%3E">"＞＜b＞</a>`},
		{"two\nlines", " https://example.com/a b ", `<a href="https://example.com/a%20b">two lines</a>`},
		{"A", "example.com/a", "A\nexample.com/a"},
		{"A", "A", "A"},
		{"A", "data:text/plain,x", "A"},
		{"A", "javascript:alert(1)", "A\njavascript:alert(1)"},
		{"", "", ""},
	} {
		if got := link(tc.title, tc.address); got != tc.want {
			t.Errorf("link(%q, %q) = %q, want %q", tc.title, tc.address, got, tc.want)
		}
	}
}

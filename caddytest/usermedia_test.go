package caddytest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// Patterns of what is another one each time.
var (
	fileAddress  = regexp.MustCompile(`http://[^"]+/wechat/media/[\w-]{43}(\.\w+)`)
	eventNumber  = regexp.MustCompile(`event-\d+-[0-9a-f]{16}`)
	eventCreated = regexp.MustCompile(`"createTime":\d+`)
)

// ask pushes something and returns what the bot got of it.
func (w *world) ask(p simulator.SimPush) simulator.Turn {
	w.t.Helper()
	before := len(w.botpress.Turns(conversation(p.OpenID)))
	w.push(p)
	turns, err := w.botpress.WaitTurns(within(w.t, 30*time.Second), conversation(p.OpenID), before+1)
	if err != nil {
		w.t.Fatal(err)
	}
	return turns[before]
}

// file pushes a file and returns its address as the bot got it.
func (w *world) file(p simulator.SimPush) string {
	w.t.Helper()
	payload := string(w.ask(p).Payload)
	address := fileAddress.FindString(payload)
	if address == "" {
		w.t.Fatalf("the bot got %s", payload)
	}
	return address
}

// get asks for an address.
func (w *world) get(method, address string, header ...string) (*http.Response, []byte) {
	w.t.Helper()
	rq, err := http.NewRequestWithContext(within(w.t, 30*time.Second), method, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		rq.Header.Set(header[i], header[i+1])
	}
	rq.Close = true
	resp, err := http.DefaultTransport.RoundTrip(rq)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, body
}

// status is the status under which an address is answered.
func (w *world) status(address string) int {
	w.t.Helper()
	resp, _ := w.get(http.MethodGet, address)
	return resp.StatusCode
}

// TestFromUser: for each kind of push, exactly what the bot gets, in each of WeChat's
// modes.
func TestFromUser(t *testing.T) {
	t.Parallel()
	const alice = "oAlice"
	for _, mode := range []string{simulator.ModePlain, simulator.ModeSafe} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{mode: mode, options: bulk})
			wc := w.wechat
			picture := wc.Image(alice)
			for _, tc := range []struct {
				kind string
				push simulator.SimPush
				want string
			}{
				{"text", wc.Text(alice, "你好\n<b>"), `{"text":"你好\n<b>","type":"text"}`},
				{"text", wc.MenuTap(alice, "7", "满意"), `{"text":"满意","type":"text"}`},
				{"text", wc.Sticker(alice), `{"text":"[表情或暂不支持的消息]","type":"text"}`},
				{"image", picture, `{"imageUrl":"FILE.png","type":"image"}`},
				{"voice", wc.Voice(alice), `{"audioUrl":"FILE.amr","type":"audio"}`},
				{"video", wc.Video(alice), `{"type":"video","videoUrl":"FILE.mp4"}`},
				{"shortvideo", wc.ShortVideo(alice), `{"type":"video","videoUrl":"FILE.mp4"}`},
				{"location", wc.Location(alice, 39.904, 116.407, "东城区"), `{"address":"东城区","latitude":39.904,"longitude":116.407,"title":"东城区","type":"location"}`},
				{"link", wc.Link(alice, "T", "D", "https://example.com/?a=1&b=2"), `{"text":"T\nD\nhttps://example.com/?a=1&b=2","type":"text"}`},
				{"hologram", wc.Message(alice, "hologram", "<Depth>3</Depth>"), `{"text":"[暂不支持的消息: hologram]","type":"text"}`},
				{"event:CLICK", wc.Event(alice, "CLICK", "HELP"), `{"text":"HELP","type":"text"}`},
				{"event", wc.Event(alice, "SCAN", "42"), `{"createTime":0,"event":"SCAN","eventId":"EVENT","eventKey":"42","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "subscribe", "qrscene_42"), `{"createTime":0,"event":"subscribe","eventId":"EVENT","eventKey":"qrscene_42","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "VIEW", "https://example.com/"), `{"MenuId":"410000001","createTime":0,"event":"VIEW","eventId":"EVENT","eventKey":"https://example.com/","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "MASSSENDJOBFINISH", ""), `{"createTime":0,"event":"MASSSENDJOBFINISH","eventId":"EVENT","eventKey":"","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "kf_create_session", ""), `{"createTime":0,"event":"kf_create_session","eventId":"EVENT","eventKey":"","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "kf_switch_session", ""), `{"createTime":0,"event":"kf_switch_session","eventId":"EVENT","eventKey":"","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "kf_close_session", ""), `{"createTime":0,"event":"kf_close_session","eventId":"EVENT","eventKey":"","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "TEMPLATESENDJOBFINISH", ""), `{"createTime":0,"event":"TEMPLATESENDJOBFINISH","eventId":"EVENT","eventKey":"","openid":"oAlice","source":"wechat"}`},
				{"event", wc.Event(alice, "unsubscribe", ""), `{"createTime":0,"event":"unsubscribe","eventId":"EVENT","eventKey":"","openid":"oAlice","source":"wechat"}`},
			} {
				w.push(wc.LocationReport(alice, 1, 2)) // of which the bot hears nothing
				turn := w.ask(tc.push)
				payload := eventCreated.ReplaceAllString(canonical(t, turn.Payload), `"createTime":0`)
				payload = eventNumber.ReplaceAllString(fileAddress.ReplaceAllString(payload, "FILE$1"), "EVENT")
				if payload != tc.want {
					t.Errorf("%s: the bot got\n%s\nwant\n%s", tc.kind, payload, tc.want)
				}
				if turn.Event != (tc.kind == "event") {
					t.Errorf("%s: event: %v", tc.kind, turn.Event)
				}
				if turn.Event {
					continue
				}
				id := tc.push.MsgID
				if strings.HasPrefix(tc.kind, "event:") {
					id, _ = turn.Metadata["wechatMsgId"].(string)
				}
				want := map[string]any{"wechatMsgId": id, "appId": appID, "openid": alice, "type": tc.kind}
				if diff := cmp.Diff(want, turn.Metadata); diff != "" || id == "" {
					t.Errorf("%s: metadata (-want +got):\n%s", tc.kind, diff)
				}
			}
		})
	}
}

// canonical is JSON with its keys in order, and nothing escaped.
func canonical(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// TestUserMediaServed: how a file is served, and what is not.
func TestUserMediaServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModeSafe, options: bulk})
	big := append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("0123456789"), 100_000)...)
	address := w.file(w.wechat.ImageOf("oAlice", big))
	voice := w.file(w.wechat.Voice("oAlice"))

	resp, body := w.get(http.MethodGet, address)
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, big) {
		t.Errorf("status %d, %d bytes", resp.StatusCode, len(body))
	}
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Content-Disposition": "inline", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox", "Accept-Ranges": "bytes", "Content-Length": fmt.Sprint(len(big)),
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var age int
	if n, _ := fmt.Sscanf(resp.Header.Get("Cache-Control"), "private, max-age=%d", &age); n != 1 || age < 71*3600 || age > 72*3600 {
		t.Errorf("Cache-Control %q", resp.Header.Get("Cache-Control"))
	}
	etag, modified := resp.Header.Get("Etag"), resp.Header.Get("Last-Modified")
	if head, body := w.get(http.MethodHead, address); head.StatusCode != http.StatusOK || len(body) != 0 || head.ContentLength != int64(len(big)) {
		t.Errorf("HEAD: %d, %d bytes of %d", head.StatusCode, len(body), head.ContentLength)
	}
	for _, tc := range []struct {
		name   string
		header []string
		status int
		body   []byte
	}{
		{"the middle", []string{"Range", "bytes=65530-131080"}, 206, big[65530:131081]},
		{"the end", []string{"Range", "bytes=-5"}, 206, big[len(big)-5:]},
		{"from there on", []string{"Range", "bytes=1000000-", "If-Range", etag}, 206, big[1_000_000:]},
		{"of another file", []string{"Range", "bytes=0-9", "If-Range", `"other"`}, 200, big},
		{"behind the end", []string{"Range", "bytes=2000000-"}, 416, nil},
		{"known by its tag", []string{"If-None-Match", etag}, 304, nil},
		{"known by its time", []string{"If-Modified-Since", modified}, 304, nil},
	} {
		resp, body := w.get(http.MethodGet, address, tc.header...)
		if resp.StatusCode != tc.status || tc.body != nil && !bytes.Equal(body, tc.body) {
			t.Errorf("%s: status %d, %d bytes", tc.name, resp.StatusCode, len(body))
		}
	}
	if resp, body := w.get(http.MethodGet, voice, "Range", "bytes=0-5"); resp.StatusCode != http.StatusPartialContent || string(body) != "#!AMR\n" || resp.Header.Get("Content-Type") != "audio/amr" {
		t.Errorf("recording: %d, %q, %v", resp.StatusCode, body, resp.Header)
	}
	raw, _ := w.get(http.MethodGet, w.file(w.wechat.ImageOf("oAlice", []byte("\x00\x01\x02raw"))))
	if raw.Header.Get("Content-Disposition") != "attachment" || raw.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("what is not known: %v", raw.Header)
	}

	i := strings.LastIndex(address, "/") + 1
	base, token := address[:i], strings.TrimSuffix(address[i:], ".png")
	swapped := []byte(token)
	swapped[30] ^= 1
	for _, bad := range []string{
		"", "x", token, token + ".", token + ".mp4", token + ".PNG", token + ".png.html", token + ".png/", token + ".html", string(swapped) + ".png",
		token[:42] + ".png", token + "A.png", token + "%3D.png", token + ".png%00", "x/" + token + ".png", strings.Repeat("A", 43) + ".png", strings.Repeat("A", 5000) + ".png",
	} {
		if got := w.status(base + bad); got != http.StatusNotFound {
			t.Errorf("%q is answered with %d", bad, got)
		}
	}
	if resp, _ := w.get(http.MethodPost, address); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

// TestUserMediaIndividual: an account without the API asks for files once.
func TestUserMediaIndividual(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk + "\nprofile on", wechat: func(c *simulator.WeChatConfig) { c.Kind = simulator.KindIndividual }})
	for range 3 {
		if got := string(w.ask(w.wechat.Voice("oAlice")).Payload); !strings.Contains(got, "[语音]") {
			t.Errorf("the bot got %s", got)
		}
		if got := string(w.ask(w.wechat.Video("oBob")).Payload); !strings.Contains(got, "[视频]") {
			t.Errorf("the bot got %s", got)
		}
		if got := string(w.ask(w.wechat.Image("oCarol")).Payload); !strings.Contains(got, `"imageUrl":"`+w.wechatAt+"/pic/") {
			t.Errorf("the bot got %s", got)
		}
	}
	for _, path := range []string{"/cgi-bin/media/get", "/cgi-bin/user/info"} {
		if n := w.wechat.CountCalls(path); n != 1 {
			t.Errorf("%s was called %d times", path, n)
		}
	}
	if regexp.MustCompile(`account held[^\n]*media/get`).MatchString(w.caddy.log.String()) {
		t.Error("the account is held for its files")
	}
}

// TestUserMediaLife: a file outlives restarts, and goes with its user, with its time, and
// when there is no room.
func TestUserMediaLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk + "\nprofile on"})
	alice := w.file(w.wechat.Image("oAlice"))
	bob := w.file(w.wechat.Video("oBob"))
	w.restart()
	w.caddy.kill()
	w.caddy.start(w.config())
	if a, b := w.status(alice), w.status(bob); a != 200 || b != 200 {
		t.Fatalf("after a restart: %d, %d", a, b)
	}
	w.ask(w.wechat.Event("oAlice", "unsubscribe", ""))
	if a, b := w.status(alice), w.status(bob); a != 404 || b != 200 {
		t.Errorf("after Alice has left: %d, %d", a, b)
	}
	if user, _ := w.botpress.User(conversation("oBob")); !strings.Contains(user.Profile, `"unionid":"uoBob"`) {
		t.Errorf("Bob's profile: %s", user.Profile)
	}

	size := func(n int) []byte { return append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, n)...) }
	w.media = "store 500KB"
	w.reload()
	var all []string
	for range 4 {
		all = append(all, w.file(w.wechat.ImageOf("oBob", size(200_000))))
		time.Sleep(2 * time.Millisecond)
	}
	var got []int
	for _, address := range append([]string{bob}, all...) {
		got = append(got, w.status(address))
	}
	if diff := cmp.Diff([]int{404, 404, 404, 200, 200}, got); diff != "" {
		t.Errorf("with room for two (-want +got):\n%s", diff)
	}
	if p := string(w.ask(w.wechat.ImageOf("oBob", size(600_000))).Payload); !strings.Contains(p, "/pic/") {
		t.Errorf("of a file beyond all bounds the bot got %s", p)
	}

	w.media = "keep 1s"
	w.reload()
	late := w.file(w.wechat.Image("oBob"))
	for began := time.Now(); w.status(late) == 200; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 5*time.Second {
			t.Fatal("a file is still served after its time")
		}
	}
	if got := w.status(all[3]); got != 404 {
		t.Errorf("an older file: %d", got)
	}
}

// TestUserMediaDamaged: a media database that cannot be used stops no message.
func TestUserMediaDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk, idle: true})
	if err := os.MkdirAll(w.journalDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.journalDir(), "media.db"), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	w.caddy.start(w.config())
	if got := string(w.ask(w.wechat.Image("oAlice")).Payload); !strings.Contains(got, "/pic/") {
		t.Errorf("the bot got %s", got)
	}
	w.ask(w.wechat.Text("oAlice", "hello"))
	w.ask(w.wechat.Event("oAlice", "unsubscribe", ""))
	if n := len(w.caddy.log.await(1, "media of users cannot be kept")); n != 1 {
		t.Errorf("the log tells it %d times", n)
	}
}

// TestUserMediaPublicURL: the configured address goes before the learned one.
func TestUserMediaPublicURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	if got := w.file(w.wechat.Image("oAlice")); !strings.HasPrefix(got, "http://"+w.site+"/wechat/media/") {
		t.Errorf("learned: %s", got)
	}
	w.options = bulk + "\npublic_url https://bot.example.com/prefix/"
	w.reload()
	payload := string(w.ask(w.wechat.Image("oAlice")).Payload)
	if !strings.Contains(payload, `"https://bot.example.com/prefix/wechat/media/`) {
		t.Errorf("configured: %s", payload)
	}
}

// TestUserMediaEarly: a file that comes while the bot is down is fetched then, and the bot has it when WeChat
// knows it no more, also from another process.
func TestUserMediaEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModeSafe, options: bulk})
	w.ask(w.wechat.Text("oAlice", "hello"))
	w.botpress.SetDown(true)
	w.push(w.wechat.Text("oAlice", "first"))
	voice := w.wechat.Voice("oAlice")
	w.push(voice)
	for began := time.Now(); w.wechat.CountCalls("/cgi-bin/media/get") == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the file is not fetched while the bot is down")
		}
	}
	w.restart() // what is under way is finished, or begun again
	for began := time.Now(); w.kept() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the file is not kept while the bot is down")
		}
	}
	w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/media/get", Code: 40007})
	w.botpress.SetDown(false)
	turns, err := w.botpress.WaitTurns(within(t, 60*time.Second), conversation("oAlice"), 3)
	if err != nil {
		t.Fatal(err)
	}
	address := fileAddress.FindString(string(turns[2].Payload))
	if _, body := w.get(http.MethodGet, address); !strings.HasPrefix(string(body), "#!AMR\n") {
		t.Errorf("the bot got %s, and there %d bytes", turns[2].Payload, len(body))
	}
}

// kept counts the files of users in the media database.
func (w *world) kept() (n int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.journalDir(), "media.db")+"?mode=ro")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT COUNT(*) FROM media WHERE done = 1").Scan(&n); err != nil {
		return 0 // there is none yet
	}
	return n
}

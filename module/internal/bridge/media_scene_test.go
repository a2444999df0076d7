package bridge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const uploadPath = "/cgi-bin/media/upload"

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// files is a server of bots' files, outside of the bubbles of tests. It closes
// connections: a bubble's clock stands still while one is open.
type files struct {
	*httptest.Server
	fetched atomic.Int32
	gone    atomic.Bool
}

func newFiles(t *testing.T) *files {
	t.Helper()
	f := &files{}
	read := func(name string) []byte {
		data, err := os.ReadFile("../mediafile/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	all := map[string][]byte{
		"/a.webp": read("lossy.webp"), "/a.mp3": read("cbr.mp3"), "/a.mp4": read("video.mp4"), "/a.mov": read("video.mov"),
		"/a.txt": []byte("not a picture"), "/big.webp": make([]byte, 3<<20),
	}
	all["/b.webp"] = all["/a.webp"]
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.fetched.Add(1)
		data, ok := all[r.URL.Path]
		if !ok || f.gone.Load() {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	f.Config.SetKeepAlivesEnabled(false)
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// mediaScene is a scene whose bot answers with files.
func mediaScene(t *testing.T, dir, kind string, change func(*Settings)) *scene {
	t.Helper()
	return newScene(t, dir, func(s *Settings) {
		s.Media.Allow, s.Media.MaxSize = loopback, 2<<20
		if change != nil {
			change(s)
		}
	}, func(c *simulator.WeChatConfig) { c.Kind = kind })
}

// TestMedia: what the user sees of a file.
func TestMedia(t *testing.T) { // not in parallel: bubbles must not wait for each other to convert pictures
	f := newFiles(t)
	anchorTo := func(path, name string) string { return `<a href="` + f.URL + path + `">` + name + `</a>` }
	file := func(kind, path string) map[string]any {
		return map[string]any{"type": kind, kind + "Url": f.URL + path, "title": "T"}
	}
	for _, tc := range []struct {
		name    string
		payload map[string]any
		kind    string
		mode    ReplyMode
		change  func(*Settings)
		want    string // how it is seen, and as what; of files their names
	}{
		{name: "picture", payload: file("image", "/a.webp"), want: "passive image image.jpg"},
		{name: "picture, pushed", mode: ReplyPush, payload: file("image", "/a.webp"), want: "push image image.jpg"},
		{name: "voice", payload: file("audio", "/a.mp3"), want: "passive voice voice.mp3"},
		{name: "voice, pushed", mode: ReplyPush, payload: file("audio", "/a.mp3"), want: "push voice voice.mp3"},
		{name: "video", payload: file("video", "/a.mp4"), want: "passive video video.mp4"},
		{name: "video, pushed", mode: ReplyPush, payload: file("video", "/a.mp4"), want: "push video video.mp4"},
		{name: "video of another kind", payload: file("video", "/a.mov"), want: "passive text " + anchorTo("/a.mov", "T")},
		{name: "voice that is none", mode: ReplyPush, payload: file("audio", "/a.txt"), want: "push text " + anchorTo("/a.txt", "T")},
		{name: "picture that is none", payload: file("image", "/a.txt"), want: "passive text " + anchorTo("/a.txt", "T")},
		{name: "picture without a title that is none", payload: map[string]any{"type": "image", "imageUrl": f.URL + "/a.txt?x=1"}, want: "passive text " + anchorTo("/a.txt?x=1", "a.txt")},
		{name: "not there", payload: file("image", "/none.png"), want: "passive text " + anchorTo("/none.png", "T")},
		{name: "larger than max_size", payload: file("image", "/big.webp"), want: "passive text " + anchorTo("/big.webp", "T")},
		{name: "inside the network", change: func(s *Settings) { s.Media.Allow = nil }, payload: file("image", "/a.webp"), want: "passive text " + anchorTo("/a.webp", "T")},
		{name: "picture, without permission", kind: simulator.KindIndividual, payload: file("image", "/a.webp"), want: "passive news T"},
		{name: "voice, without permission", kind: simulator.KindIndividual, payload: file("audio", "/a.mp3"), want: "passive text " + anchorTo("/a.mp3", "T")},
		{name: "card", payload: map[string]any{"type": "card", "title": "C", "imageUrl": f.URL + "/a.webp", "actions": []any{}}, want: "passive news C"},
		{name: "card, pushed", mode: ReplyPush, payload: map[string]any{"type": "card", "title": "C", "imageUrl": f.URL + "/a.webp", "actions": []any{}}, want: "push news C"},
		{name: "card, without permission", kind: simulator.KindIndividual, payload: map[string]any{"type": "card", "title": "C", "imageUrl": f.URL + "/a.webp", "actions": []any{}}, want: "passive news C"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := mediaScene(t, dir, tc.kind, func(s *Settings) {
					if tc.mode != "" {
						s.Reply = tc.mode
					}
					if tc.change != nil {
						tc.change(s)
					}
				})
				defer sc.close()
				sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: tc.payload}}}
				sc.play(hi)
				time.Sleep(20 * s)
				seen := sc.wechat.Seen(sceneUser)
				if len(seen) != 1 {
					t.Fatalf("the user saw %+v", seen)
				}
				what := seen[0].Text
				if seen[0].Media != nil {
					what = seen[0].Media.Name
				}
				if got := seen[0].Road + " " + seen[0].Type + " " + what; got != tc.want {
					t.Errorf("the user saw\n%s, want\n%s", got, tc.want)
				}
			})
		})
	}
}

// TestUploadedOnce: what many are to see is uploaded once, as long as WeChat has it.
func TestUploadedOnce(t *testing.T) { // not in parallel: bubbles must not wait for each other to convert pictures
	f := newFiles(t)
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := mediaScene(t, dir, "", func(s *Settings) { s.Reply = ReplyPush })
		defer sc.close()
		sc.bot.script = map[string][]bubble{}
		for _, name := range []string{"a", "b"} {
			sc.bot.script[name] = []bubble{{after: s, payload: map[string]any{"type": "image", "imageUrl": f.URL + "/" + name + ".webp"}}}
		}
		n := 0
		ask := func(text string, users int) {
			t.Helper()
			for range users {
				n++
				go sc.wechat.Push(context.Background(), sc.wechat.Text(fmt.Sprintf("oUser%d", n), text))
			}
			time.Sleep(30 * s)
			for i := n - users + 1; i <= n; i++ {
				seen := sc.wechat.Seen(fmt.Sprintf("oUser%d", i))
				if len(seen) != 1 || seen[0].Type != "image" || seen[0].Media == nil {
					t.Fatalf("user %d saw %+v", i, seen)
				}
			}
		}
		expect := func(when string, uploads, fetches int) {
			t.Helper()
			if u, got := sc.wechat.CountCalls(uploadPath), int(f.fetched.Load()); u != uploads || got != fetches {
				t.Errorf("%s: %d uploads and %d fetches, want %d and %d", when, u, got, uploads, fetches)
			}
		}
		ask("a", 8)
		expect("asked by many", 1, 1)
		ask("b", 1)
		expect("the same under another address", 1, 2)
		sc.restart()
		ask("a", 1)
		expect("after a restart", 1, 2)
		time.Sleep(time.Hour)
		ask("a", 2)
		expect("later", 1, 3)
		f.gone.Store(true)
		time.Sleep(time.Hour)
		ask("a", 1)
		expect("the bot has it no more", 1, 4)
		f.gone.Store(false)
		sc.wechat.Advance(wechat.MediaLife) // WeChat forgets sooner than it says
		ask("a", 3)
		expect("WeChat does not know it", 2, 5)
	})
}

// TestUploadedAgain: a media_id that WeChat does not know any more is not taken from
// those who found it before it was forgotten.
func TestUploadedAgain(t *testing.T) { // not in parallel: bubbles must not wait for each other to convert pictures
	f := newFiles(t)
	for kind, url := range map[string]string{"image": f.URL + "/a.webp", "video": f.URL + "/a.mp4"} {
		t.Run(kind, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := mediaScene(t, dir, "", func(s *Settings) { s.Reply = ReplyPush })
				defer sc.close()
				sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: map[string]any{"type": kind, kind + "Url": url}}}}
				ctx, rt := context.Background(), sc.rt
				sc.play(hi)
				time.Sleep(30 * s)
				sc.wechat.Advance(wechat.MediaLife)
				share := func(kind wechat.MediaKind, flight, hash string, takes time.Duration) {
					known, found, err := rt.uploaded(hash, kind)
					if err != nil || !found {
						t.Fatalf("%s is not recorded: %v", kind, err)
					}
					go func() {
						for range 3 { // until it is refused, and twice more
							_, _, _ = rt.uploads.flights.Do(flight, func() (any, error) {
								time.Sleep(takes)
								return known, rt.keepUploads(known)
							})
						}
					}()
				}
				share(wechat.MediaKind(kind), kind+" "+url, hashed("a", []byte(url)), 5*s)
				if kind == "video" {
					share(wechat.MediaThumb, "thumbnail", hashed("c", thumbnail()), 6*s)
				}
				go sc.wechat.Push(ctx, sc.wechat.Text("oOther", "hi"))
				time.Sleep(time.Minute)
				if seen := sc.wechat.Seen("oOther"); len(seen) != 1 || seen[0].Type != kind || seen[0].Media == nil {
					t.Errorf("the user saw %+v", seen)
				}
			})
		})
	}
}

// TestForbiddenLog: the log tells files inside the network from others that are not
// had, and holds no address. It runs alone: the count is of all accounts of the name.
func TestForbiddenLog(t *testing.T) {
	f := newFiles(t)
	dir := tempDir(t)
	logger, logs := observed()
	before := refusalsNow()["forbidden"]
	synctest.Test(t, func(t *testing.T) {
		sc := mediaScene(t, dir, "", func(s *Settings) { s.Media.Allow, s.Logger = nil, logger })
		defer sc.close()
		sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: map[string]any{"type": "image", "imageUrl": f.URL + "/a.webp?token=s3cret"}}}}
		sc.play(hi)
		time.Sleep(10 * s)
	})
	if f.fetched.Load() != 0 {
		t.Error("the file was fetched")
	}
	told := logs.FilterMessageSnippet("inside the network").FilterField(zap.Int64("refused_so_far", before+1))
	if told.Len() != 1 {
		t.Errorf("the log says %v", logs.All())
	}
	if all := fmt.Sprint(logs.All()); strings.Contains(all, "s3cret") || strings.Contains(all, "127.0.0.1") {
		t.Errorf("the log holds the address: %s", all)
	}
}

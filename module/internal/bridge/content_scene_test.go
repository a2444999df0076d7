package bridge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const uploadPath = "/cgi-bin/media/upload"

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// colours is a choice.
var colours = map[string]any{"type": "choice", "text": "Which?", "options": []any{
	map[string]any{"label": "Red", "value": "r"}, map[string]any{"label": "Blue", "value": "b"},
}}

// tap makes a push the tap on the second option of the bot's nth message.
func tap(message string) func(*simulator.SimPush) {
	return func(p *simulator.SimPush) {
		p.Inner += "<bizmsgmenuid>" + menuID(choiceRef(message), 2) + "</bizmsgmenuid>"
	}
}

// TestChoose: what the bot hears of a user's answer to a choice.
func TestChoose(t *testing.T) {
	t.Parallel()
	type answer struct{ value, label string }
	blue := answer{"b", "Blue"}
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name    string
		mode    ReplyMode
		style   ChoiceStyle
		kind    string
		restart time.Duration
		does    []say
		want    answer // to the last thing said
		shown   string // how the user sees the choice; default text
	}{
		{name: "tap, passive", does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "tap, pushed", mode: ReplyPush, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "number", does: []say{{at: 10 * s, text: "2"}}, want: blue},
		{name: "label", does: []say{{at: 10 * s, text: "blue "}}, want: blue},
		{name: "number, in numbers", style: ChoiceNumbers, does: []say{{at: 10 * s, text: "２."}}, want: blue},
		{name: "something else", does: []say{{at: 10 * s, text: "green"}}, want: answer{"green", ""}},
		{name: "at once", mode: ReplyPush, does: []say{{at: 1301 * ms, text: "2"}}, want: blue},
		{name: "before it was shown", mode: ReplyPush, does: []say{{at: 1100 * ms, text: "2"}}, want: answer{"2", ""}},
		{name: "menu", mode: ReplyPush, style: ChoiceMenu, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue, shown: "msgmenu"},
		{name: "menu, while the callback is held", style: ChoiceMenu, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue, shown: "msgmenu"},
		{name: "menu, typed", style: ChoiceMenu, does: []say{{at: 10 * s, text: "二"}}, want: blue, shown: "msgmenu"},
		{name: "menu that a sandbox account has not", style: ChoiceMenu, kind: simulator.KindSandbox, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "menu, passive only", style: ChoiceMenu, kind: simulator.KindIndividual, does: []say{{at: 10 * s, text: "2"}}, want: blue},
		{name: "tap after a later message", does: []say{{at: 5 * s, text: "next"}, {at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "number after a later message", does: []say{{at: 5 * s, text: "next"}, {at: 10 * s, text: "2"}}, want: answer{"2", ""}},
		{name: "label after a silent turn", does: []say{{at: 5 * s, text: "silence"}, {at: 10 * s, text: "Blue"}}, want: blue},
		{name: "twice", does: []say{{at: 5 * s, text: "1"}, {at: 10 * s, text: "2"}}, want: blue},
		{name: "tap within a day", does: []say{{at: day, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "tap after a day", does: []say{{at: day + 2*s, text: "Blue", change: tap("m00001")}}, want: answer{"Blue", ""}},
		{name: "number after a day", does: []say{{at: day + 2*s, text: "2"}}, want: blue},
		{name: "tap on nothing known", does: []say{{at: 10 * s, text: "2", change: tap("m00009")}}, want: answer{"2", ""}},
		{name: "tap that is not ours", does: []say{{at: 10 * s, text: "2", change: func(p *simulator.SimPush) { p.Inner += "<bizmsgmenuid>101</bizmsgmenuid>" }}}, want: answer{"2", ""}},
		{name: "across a restart", restart: 5 * s, does: []say{{at: 10 * s, text: "2"}}, want: blue},
		{name: "tap across a restart", restart: 5 * s, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "by who has left meanwhile", does: []say{{at: 5 * s, event: "unsubscribe"}, {at: 10 * s, text: "Blue", change: tap("m00001")}}, want: answer{"Blue", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) {
					s.Choices = tc.style
					if tc.mode != "" {
						s.Reply = tc.mode
					}
				}, func(c *simulator.WeChatConfig) { c.Kind = tc.kind })
				defer sc.close()
				sc.bot.script = map[string][]bubble{
					"hi":   {{after: s, payload: colours}},
					"next": said(s, "later"),
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					if tc.restart > 0 {
						time.Sleep(tc.restart)
						sc.restart()
					}
				}()
				sc.play(append([]say{{text: "hi"}}, tc.does...))
				<-done
				time.Sleep(5 * s)
				sc.bot.mu.Lock()
				defer sc.bot.mu.Unlock()
				got := answer{sc.bot.turns[len(sc.bot.turns)-1], sc.bot.labels[len(sc.bot.labels)-1]}
				if got != tc.want || len(sc.bot.turns) != len(tc.does)+1 {
					t.Errorf("the bot heard %q with %q, want %q with %q; all: %q", got.value, got.label, tc.want.value, tc.want.label, sc.bot.turns)
				}
				shown := sc.wechat.Replies(sceneUser)[0]
				if tc.shown == "" {
					tc.shown = "text"
				}
				if shown.Type != tc.shown {
					t.Errorf("the user saw %+v, want a %s", shown, tc.shown)
				}
			})
		})
	}
}

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
func TestMedia(t *testing.T) {
	t.Parallel()
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
func TestUploadedOnce(t *testing.T) {
	t.Parallel()
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

// TestForbiddenLog: the log tells files inside the network from others that are not
// had, and holds no address.
func TestForbiddenLog(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	dir := tempDir(t)
	logger, logs := observed()
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
	told := logs.FilterMessageSnippet("inside the network").FilterField(zap.Int64("refused_so_far", 1))
	if told.Len() != 1 {
		t.Errorf("the log says %v", logs.All())
	}
	if all := fmt.Sprint(logs.All()); strings.Contains(all, "s3cret") || strings.Contains(all, "127.0.0.1") {
		t.Errorf("the log holds the address: %s", all)
	}
}

// TestCarousel: cards and then their actions, by whatever road.
func TestCarousel(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	card := func(title string) map[string]any {
		return map[string]any{"title": title, "imageUrl": "https://example.com/" + title, "actions": []any{map[string]any{"action": "say", "label": "Take " + title, "value": title}}}
	}
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, nil, nil)
		defer sc.close()
		sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: map[string]any{"type": "carousel", "items": []any{card("A"), card("B")}}}}}
		sc.play([]say{{text: "hi"}, {at: 10 * s, text: "take b"}})
		time.Sleep(5 * s)
		var got []string
		for _, s := range sc.wechat.Seen(sceneUser) {
			got = append(got, s.Road+" "+s.Type)
		}
		if diff := cmp.Diff([]string{"passive news", "push news", "push text"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		sc.bot.mu.Lock()
		defer sc.bot.mu.Unlock()
		if !slices.Equal(sc.bot.turns, []string{"hi", "B"}) {
			t.Errorf("the bot heard %q", sc.bot.turns)
		}
	})
}

// TestRefusedContent: what follows when WeChat does not take something.
func TestRefusedContent(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	const sendPath = "/cgi-bin/message/custom/send"
	picture := map[string]any{"type": "image", "imageUrl": f.URL + "/a.webp", "title": "T"}
	video := map[string]any{"type": "video", "videoUrl": f.URL + "/a.mp4", "title": "T"}
	card := map[string]any{"type": "card", "title": "T", "subtitle": "S", "imageUrl": f.URL + "/a.webp", "actions": []any{}}
	linkTo := func(path string) string { return `text <a href="` + f.URL + path + `">T</a>` }
	for _, tc := range []struct {
		name    string
		payload map[string]any
		style   ChoiceStyle
		faults  []simulator.WeChatFault
		want    string
	}{
		{name: "busy", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 2, Code: -1}}, want: "image "},
		{name: "too many calls", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 1, Code: 45011}}, want: "image "},
		{name: "address not on the allow list", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 2, Code: 40164}}, want: "image "},
		{name: "media id unknown", payload: picture, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 40007}}, want: "image "},
		{name: "media id unknown again", payload: picture, faults: []simulator.WeChatFault{{Path: sendPath, Times: 2, Code: 40007}}, want: linkTo("/a.webp")},
		{name: "media of a wrong type", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 1, Code: 40005}}, want: linkTo("/a.webp")},
		{name: "uploads not allowed", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 9, Code: 48001}}, want: "news T"},
		{name: "uploads of voice not allowed", payload: map[string]any{"type": "audio", "audioUrl": f.URL + "/a.mp3", "title": "T"}, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 9, Code: 48001}}, want: linkTo("/a.mp3")},
		{name: "no thumbnail", payload: video, faults: []simulator.WeChatFault{{Path: uploadPath, Skip: 1, Times: 9, Code: 40006}}, want: linkTo("/a.mp4")},
		{name: "title too long", payload: card, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 45003}}, want: linkTo("/a.webp") + "|S"},
		{name: "cards not allowed", payload: card, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 48008}}, want: linkTo("/a.webp") + "|S"},
		{name: "menu of nothing", style: ChoiceMenu, payload: map[string]any{"type": "choice", "text": "?", "options": []any{}}, want: "text ?"},
		{name: "menu of a kind of account that has none", style: ChoiceMenu, payload: colours, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 40200}}, want: "text Which?|" + colourLinks},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := mediaScene(t, dir, "", func(s *Settings) { s.Reply, s.Choices, s.Typing = ReplyPush, tc.style, false })
				defer sc.close()
				for _, fault := range tc.faults {
					sc.wechat.Fail(fault)
				}
				sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: tc.payload}, {after: s, text: "end"}}}
				sc.play(hi)
				time.Sleep(5 * time.Minute)
				seen := sc.wechat.Seen(sceneUser)
				if len(seen) != 2 || seen[1].Text != "end" {
					t.Fatalf("the user saw %+v", seen)
				}
				if got := seen[0].Type + " " + strings.ReplaceAll(seen[0].Text, "\n", "|"); got != tc.want {
					t.Errorf("the user saw\n%s, want\n%s", got, tc.want)
				}
			})
		})
	}
}

var colourLinks = tappable(menuID(choiceRef("m00001"), 1), "Red", "1. Red") + "|" + tappable(menuID(choiceRef("m00001"), 2), "Blue", "2. Blue")

// TestLabelled: what a machine has written says so, media and cards by WeChat's own
// mark only.
func TestLabelled(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	for _, mode := range []ReplyMode{ReplyAuto, ReplyPush} {
		for name, payload := range map[string]map[string]any{
			"choice": colours,
			"file":   {"type": "file", "fileUrl": f.URL + "/a.txt", "title": "T"},
			"image":  {"type": "image", "imageUrl": f.URL + "/a.webp", "title": "T"},
			"card":   {"type": "card", "title": "C", "imageUrl": f.URL + "/a.webp", "actions": []any{}},
		} {
			t.Run(string(mode)+" "+name, func(t *testing.T) {
				dir := tempDir(t)
				synctest.Test(t, func(t *testing.T) {
					sc := mediaScene(t, dir, "", func(s *Settings) { s.Reply, s.AILabel = mode, true })
					defer sc.close()
					sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: payload}}}
					sc.play(hi)
					time.Sleep(10 * s)
					seen := sc.wechat.Seen(sceneUser)
					if len(seen) != 1 {
						t.Fatalf("the user saw %+v", seen)
					}
					pushed, text := mode == ReplyPush, seen[0].Type == "text"
					if seen[0].AI != pushed || strings.HasSuffix(seen[0].Text, "\n"+aiLabel) != (!pushed && text) {
						t.Errorf("the user saw %+v", seen[0])
					}
				})
			})
		}
	}
}

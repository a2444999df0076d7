package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

const mediaGet = "/cgi-bin/media/get"

// recordingBot keeps what it is given.
type recordingBot struct {
	mu       sync.Mutex
	turns    []bots.Turn
	profiles []string // as introduced
	refuse   int      // so many deliveries
}

func (*recordingBot) Identity() string                { return "recording" }
func (*recordingBot) Conversation(p bots.Peer) string { return "c-" + p.OpenID }

func (b *recordingBot) Introduce(_ context.Context, p bots.Peer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.profiles = append(b.profiles, p.Profile)
	return nil
}

func (b *recordingBot) Deliver(_ context.Context, t bots.Turn) (bots.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse > 0 {
		b.refuse--
		return bots.Receipt{}, fmt.Errorf("refused")
	}
	b.turns = append(b.turns, t)
	return bots.Receipt{At: time.Now(), ID: t.ID}, nil
}

// got is what the bot was given: a text, or the type and the address of a file.
func (b *recordingBot) got() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.turns {
		var p struct{ Type, Text, ImageURL, AudioURL, VideoURL, Event string }
		_ = json.Unmarshal(t.Message, &p)
		_ = json.Unmarshal(t.Event, &p)
		all = append(all, strings.TrimSpace(p.Type+" "+p.Text+p.ImageURL+p.AudioURL+p.VideoURL+p.Event))
	}
	return all
}

// newFileScene is a scene whose bot records.
func newFileScene(t *testing.T, dir string, change func(*Settings)) (*scene, *recordingBot) {
	bot := &recordingBot{}
	sc := newScene(t, dir, func(s *Settings) {
		s.Reply, s.Typing, s.Bot = ReplyPush, false, bot
		s.PublicURL, s.Path = "https://bot.example.com", "/wechat"
		s.Media = MediaSettings{MaxSize: 1 << 20, Keep: 72 * time.Hour, Store: 1 << 30}
		if change != nil {
			change(s)
		}
	}, nil)
	return sc, bot
}

// send pushes something and returns the last turn, and how long it took to the bot.
func (sc *scene) send(bot *recordingBot, p simulator.SimPush) (string, time.Duration) {
	sc.t.Helper()
	began, before := time.Now(), len(bot.got())
	if d := sc.wechat.Push(context.Background(), p); !d.Accepted() {
		sc.t.Errorf("push: %+v", d)
	}
	for len(bot.got()) == before {
		if time.Since(began) > 5*time.Minute {
			sc.t.Fatal("the bot got nothing")
		}
		time.Sleep(10 * time.Millisecond)
	}
	all := bot.got()
	return all[len(all)-1], time.Since(began)
}

// fetch asks for a file by its address.
func (sc *scene) fetch(address string) (f *File, data []byte) {
	sc.t.Helper()
	name := address[strings.LastIndex(address, "/")+1:]
	f, found, err := sc.rt.File(context.Background(), name)
	if err != nil {
		sc.t.Fatal(err)
	}
	if !found {
		return nil, nil
	}
	if data, err = io.ReadAll(f); err != nil {
		sc.t.Fatal(err)
	}
	return f, data
}

// inline are the types of the files below that a browser may show.
var inline = map[string]bool{"image/png": true, "audio/amr": true, "video/mp4": true, "image/heic": true}

// TestFiles: what the bot gets of each kind of file, with and without the API.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		w := sc.wechat
		image, voice, video, short := w.Image(sceneUser), w.Voice(sceneUser), w.Video(sceneUser), w.ShortVideo(sceneUser)
		for _, tc := range []struct {
			name string
			push simulator.SimPush
			want string
			mime string
		}{
			{"picture", image, `^image https://bot\.example\.com/wechat/media/[\w-]{43}\.png$`, "image/png"},
			{"recording", voice, `^audio https://bot\.example\.com/wechat/media/[\w-]{43}\.amr$`, "audio/amr"},
			{"video", video, `^video https://bot\.example\.com/wechat/media/[\w-]{43}\.mp4$`, "video/mp4"},
			{"short video", short, `^video https://bot\.example\.com/wechat/media/[\w-]{43}\.mp4$`, "video/mp4"},
			{"what is not known", w.ImageOf(sceneUser, []byte("\x00\x01speex?")), `^image .*\.bin$`, "application/octet-stream"},
			{"a page", w.ImageOf(sceneUser, []byte("<html><script>alert(1)</script>")), `^image http://wechat\.invalid/pic/`, ""},
			{"a drawing with a script", w.ImageOf(sceneUser, []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`)), `^image http://wechat\.invalid/pic/`, ""},
			{"TIFF", w.ImageOf(sceneUser, []byte("II*\x00\x08\x00\x00\x00\x00\x00")), `^image .*\.tif$`, "image/tiff"},
			{"AVIF", w.ImageOf(sceneUser, []byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf")), `^image .*\.avif$`, "image/avif"},
			{"HEIC", w.ImageOf(sceneUser, []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")), `^image .*\.heic$`, "image/heic"},
			{"M4V", w.ImageOf(sceneUser, []byte("\x00\x00\x00\x1cftypM4V \x00\x00\x00\x01M4V M4A mp42")), `^image .*\.m4v$`, "video/x-m4v"},
			{"3G2", w.ImageOf(sceneUser, []byte("\x00\x00\x00\x18ftyp3g2a\x00\x00\x00\x003g2aisom")), `^image .*\.3g2$`, "video/3gpp2"},
			{"WebM", w.ImageOf(sceneUser, []byte("\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm")), `^image .*\.webm$`, "video/webm"},
			{"FLAC", w.ImageOf(sceneUser, []byte("fLaC\x00\x00\x00\x22\x10\x00")), `^image .*\.flac$`, "audio/flac"},
			{"nothing", w.ImageOf(sceneUser, []byte{}), `^image http://wechat\.invalid/pic/`, ""},
			{"too large", w.ImageOf(sceneUser, append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, userFileLimit)...)), `^image http://wechat\.invalid/pic/`, ""},
		} {
			got, _ := sc.send(bot, tc.push)
			if !regexp.MustCompile(tc.want).MatchString(got) {
				t.Errorf("%s: the bot got %q", tc.name, got)
				continue
			}
			if tc.mime == "" {
				continue
			}
			f, data := sc.fetch(got)
			if f == nil || f.Type != tc.mime || f.Inline != inline[tc.mime] || !bytes.Equal(data, fileIn(sc, tc.push)) {
				t.Errorf("%s: served %+v, %d bytes", tc.name, f, len(data))
			}
		}
	})
}

// fileIn is what a simulated message holds.
func fileIn(sc *scene, p simulator.SimPush) []byte {
	id := regexp.MustCompile(`<MediaId>(?:<!\[CDATA\[)?([^\]<]+)`).FindStringSubmatch(p.Inner)
	if m := sc.wechat.Media(id[1]); m != nil {
		return m.Bytes()
	}
	return nil
}

// TestFilesFault: what goes wrong with a file holds neither the user nor the account for
// long.
func TestFilesFault(t *testing.T) {
	t.Parallel()
	fail := func(f simulator.WeChatFault) func(*scene) {
		return func(sc *scene) { sc.wechat.Fail(f) }
	}
	for _, tc := range []struct {
		name   string
		fault  func(*scene)
		kept   bool // the file was had all the same
		calls  int  // of media/get, for two messages
		within time.Duration
	}{
		{"nothing wrong", func(*scene) {}, true, 2, 0},
		{"once busy", fail(simulator.WeChatFault{Path: mediaGet, Code: -1, Times: 1}), true, 3, time.Second},
		{"once cut", fail(simulator.WeChatFault{Path: mediaGet, Cut: true, Times: 1}), true, 3, time.Second},
		{"busy", fail(simulator.WeChatFault{Path: mediaGet, Code: -1}), false, 4, time.Second},
		{"cut", fail(simulator.WeChatFault{Path: mediaGet, Cut: true}), false, 4, time.Second},
		{"silent", fail(simulator.WeChatFault{Path: mediaGet, Delay: time.Hour}), false, 4, 9 * time.Second},
		{"a page", fail(simulator.WeChatFault{Path: mediaGet, HTTPStatus: 200, Body: "<html>sorry"}), false, 2, 0},
		{"a gateway's error", fail(simulator.WeChatFault{Path: mediaGet, HTTPStatus: 502, Body: "<html>sorry"}), false, 4, time.Second},
		{"not allowed", fail(simulator.WeChatFault{Path: mediaGet, Code: 48001}), false, 1, 0},
		{"quota", fail(simulator.WeChatFault{Path: mediaGet, Code: 45009}), false, 2, 0},
		{"gone", fail(simulator.WeChatFault{Path: mediaGet, Code: 40007}), false, 3, 0},
		{"address not listed", func(sc *scene) { sc.wechat.SetAllowedIPs("198.51.100.1") }, false, 0, 0},
		{"no token", fail(simulator.WeChatFault{Path: "/cgi-bin/stable_token", Delay: time.Hour}), false, 0, 9 * time.Second},
		{"individual account", func(sc *scene) { sc.wechat.SetKind(simulator.KindIndividual) }, false, 1, 0},
		{"down", func(sc *scene) { sc.wechat.SetDown(true) }, false, 0, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc, bot := newFileScene(t, dir, nil)
				defer sc.close()
				tc.fault(sc)
				for _, push := range []simulator.SimPush{sc.wechat.Voice(sceneUser), sc.wechat.Image(sceneUser)} {
					got, took := sc.send(bot, push)
					if kept := strings.Contains(got, "/wechat/media/"); kept != tc.kept {
						t.Errorf("the bot got %q", got)
					}
					if !tc.kept && got != "text [语音]" && !strings.HasPrefix(got, "image http://wechat.invalid/pic/") {
						t.Errorf("the bot got %q", got)
					}
					if took > tc.within+50*time.Millisecond {
						t.Errorf("it took %v", took)
					}
				}
				if n := sc.wechat.CountCalls(mediaGet); n != tc.calls {
					t.Errorf("%d calls, want %d", n, tc.calls)
				}
				if holds := sc.rt.Holds(); len(holds) > 0 {
					t.Errorf("the account is held: %v", holds)
				}
			})
		})
	}
}

// TestFilesForgiven: an account that may have files again is asked again, at the latest
// after a day, and when the configuration changes.
func TestFilesForgiven(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		sc.wechat.SetKind(simulator.KindIndividual)
		sc.send(bot, sc.wechat.Voice(sceneUser))
		sc.wechat.SetKind(simulator.KindVerified)
		if got, _ := sc.send(bot, sc.wechat.Voice(sceneUser)); got != "text [语音]" {
			t.Errorf("the bot got %q", got)
		}
		s := sc.s
		if err := sc.rt.Apply("other", &s); err != nil {
			t.Fatal(err)
		}
		if got, _ := sc.send(bot, sc.wechat.Voice(sceneUser)); !strings.HasPrefix(got, "audio") {
			t.Errorf("the bot got %q after a reload", got)
		}
		sc.rt.Revoke("other")
		sc.wechat.SetKind(simulator.KindIndividual)
		sc.send(bot, sc.wechat.Voice(sceneUser))
		sc.wechat.SetKind(simulator.KindVerified)
		time.Sleep(denialLasts)
		if got, _ := sc.send(bot, sc.wechat.Voice(sceneUser)); !strings.HasPrefix(got, "audio") {
			t.Errorf("the bot got %q a day later", got)
		}
	})
}

// TestFilesWideband: the better recording is preferred, and not insisted on.
func TestFilesWideband(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		narrow, wide := sc.wechat.Voice(sceneUser), sc.wechat.Voice(sceneUser)
		id := regexp.MustCompile(`[\w-]{64}`)
		both := func(n, w string) simulator.SimPush {
			return sc.wechat.Message(sceneUser, "voice", "<MediaId>"+n+"</MediaId><Format>amr</Format><MediaId16K>"+w+"</MediaId16K>")
		}
		narrowID, wideID := id.FindString(narrow.Inner), id.FindString(wide.Inner)
		got, _ := sc.send(bot, both("unknown", wideID))
		if _, data := sc.fetch(got); !bytes.Equal(data, sc.wechat.Media(wideID).Bytes()) {
			t.Errorf("the bot got %q", got)
		}
		got, _ = sc.send(bot, both(narrowID, "unknown"))
		if _, data := sc.fetch(got); !bytes.Equal(data, sc.wechat.Media(narrowID).Bytes()) {
			t.Errorf("the bot got %q", got)
		}
	})
}

// TestFilesRestart: addresses outlive a restart, a file is not fetched twice for one
// message, and where pushes arrive is remembered.
func TestFilesRestart(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, func(s *Settings) { s.PublicURL = "" })
		defer sc.close()
		if got, _ := sc.send(bot, sc.wechat.Voice(sceneUser)); got != "text [语音]" {
			t.Errorf("the bot got %q before anybody knew where it is to look", got)
		}
		sc.rt.Reached("https://learned.example/prefix")
		bot.refuse = 3
		push := sc.wechat.Image(sceneUser)
		if d := sc.wechat.Push(context.Background(), push); !d.Accepted() {
			t.Fatal(d)
		}
		time.Sleep(400 * time.Millisecond) // it has been fetched, and the bot has refused it
		sc.restart()
		time.Sleep(time.Minute)
		all := bot.got()
		if n := sc.wechat.CountCalls(mediaGet); n != 1 || len(all) != 2 {
			t.Fatalf("%d downloads, the bot got %q", n, all)
		}
		if !strings.HasPrefix(all[1], "image https://learned.example/prefix/wechat/media/") {
			t.Errorf("the bot got %q", all[1])
		}
		if _, data := sc.fetch(all[1]); !bytes.Equal(data, fileIn(sc, push)) {
			t.Errorf("%d bytes are served", len(data))
		}
	})
}

// TestFilesStop: a file that is under way does not keep the account from stopping, and is
// fetched by the next process.
func TestFilesStop(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		sc.wechat.Fail(simulator.WeChatFault{Path: mediaGet, Delay: time.Hour, Times: 1})
		if d := sc.wechat.Push(context.Background(), sc.wechat.Image(sceneUser)); !d.Accepted() {
			t.Fatal(d)
		}
		time.Sleep(time.Second)
		began := time.Now()
		sc.restart()
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopping took %v", took)
		}
		time.Sleep(time.Second)
		if got := bot.got(); len(got) != 1 || !strings.HasPrefix(got[0], "image https://bot.example.com/") {
			t.Errorf("the bot got %q", got)
		}
	})
}

// TestFilesForgotten: what a user sent goes with the user.
func TestFilesForgotten(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		alice, _ := sc.send(bot, sc.wechat.Image(sceneUser))
		bob, _ := sc.send(bot, sc.wechat.Image("oBob"))
		sc.send(bot, sc.wechat.Event(sceneUser, "unsubscribe", ""))
		if f, _ := sc.fetch(alice); f != nil {
			t.Error("the file of a user who left is served")
		}
		if f, _ := sc.fetch(bob); f == nil {
			t.Error("another user's file is gone")
		}
	})
}

// TestFileToken: nobody makes an address but the account, and none can be changed.
func TestFileToken(t *testing.T) {
	t.Parallel()
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	id := []byte("0123456789abcdef")
	good := fileToken(key, "wx1", id, "png")
	if got, ok := checkFileToken(key, "wx1", good, "png"); !ok || !bytes.Equal(got, id) {
		t.Fatalf("its own token: %q, %v", got, ok)
	}
	for name, tc := range map[string]struct {
		key               []byte
		appid, token, ext string
	}{
		"another key":       {other, "wx1", good, "png"},
		"another account":   {key, "wx2", good, "png"},
		"another extension": {key, "wx1", good, "mp4"},
		"cut":               {key, "wx1", good[:len(good)-1], "png"},
		"longer":            {key, "wx1", good + "A", "png"},
		"padded":            {key, "wx1", good + "=", "png"},
		"with a line break": {key, "wx1", good + "\n", "png"},
		"nothing":           {key, "wx1", "", "png"},
		"no signature":      {key, "wx1", good[:22], "png"},
	} {
		if _, ok := checkFileToken(tc.key, tc.appid, tc.token, tc.ext); ok {
			t.Errorf("%s is accepted", name)
		}
	}
	for i := range good {
		for _, c := range []byte("Aaz0-_") {
			forged := good[:i] + string(c) + good[i+1:]
			if _, ok := checkFileToken(key, "wx1", forged, "png"); ok && forged != good {
				t.Errorf("%q is accepted for %q", forged, good)
			}
		}
	}
}

// FuzzFile: whatever is asked for, nothing is found that was not kept, and nothing breaks.
func FuzzFile(f *testing.F) {
	key := bytes.Repeat([]byte{1}, 32)
	f.Add(fileToken(key, "wx1", make([]byte, fileIDSize), "png"), "png")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, token, ext string) {
		id, ok := checkFileToken(key, "wx1", token, ext)
		if ok && fileToken(key, "wx1", id, ext) != token {
			t.Errorf("%q is accepted", token)
		}
	})
}

// TestFileTypes: what is taken can be served, in a type that holds no script.
func TestFileTypes(t *testing.T) {
	t.Parallel()
	for kind, ext := range sniffedExts {
		if fileTypes[ext] == "" {
			t.Errorf("%s is stored as %s, which has no type", kind, ext)
		}
	}
	for ext, kind := range fileTypes {
		if strings.Contains(kind, "svg") || strings.Contains(kind, "html") || strings.Contains(kind, "xml") || strings.HasPrefix(kind, "text/") {
			t.Errorf("%s is served as %s", ext, kind)
		}
	}
}

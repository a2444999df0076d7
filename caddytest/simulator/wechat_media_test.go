package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// wcMP3 is an MP3 file of n frames, 26 ms each.
func wcMP3(n int) []byte {
	frame := make([]byte, 417) // MPEG 1 layer III, 128 kbit/s, 44.1 kHz
	copy(frame, "\xff\xfb\x90\x00")
	return bytes.Repeat(frame, n)
}

func TestWeChatUpload(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	gif := []byte("GIF89a--------")
	big := func(head []byte, n int) []byte { return append(bytes.Clone(head), make([]byte, n-len(head))...) }
	for _, tc := range []struct {
		name, kind, field, file string
		data                    []byte
		want                    int
	}{
		{"png", "image", "media", "a.png", wcPicture(1), 0},
		{"jpeg", "image", "media", "a.JPG", wcThumb(), 0},
		{"gif", "image", "media", "a.gif", gif, 0},
		{"image of 2 MiB", "image", "media", "a.png", big(wcPicture(1), 2<<20), 0},
		{"amr", "voice", "media", "a.amr", wcSilence(3000), 0},
		{"mp3", "voice", "media", "a.mp3", wcMP3(2200), 0},
		{"mp4", "video", "media", "a.mp4", wcFilm(), 0},
		{"thumb", "thumb", "media", "a.jpg", wcThumb(), 0},

		{"unknown type", "file", "media", "a.png", wcPicture(1), 40004},
		{"no type", "", "media", "a.png", wcPicture(1), 40004},
		{"another field", "image", "file", "a.png", wcPicture(1), 41005},
		{"no filename", "image", "media", "", wcPicture(1), 41005},
		{"no extension", "image", "media", "a", wcPicture(1), 40005},
		{"wrong extension", "image", "media", "a.mp4", wcPicture(1), 40005},
		{"not what it says", "image", "media", "a.png", []byte("<html>"), 40005},
		{"webp", "image", "media", "a.png", []byte("RIFF\x00\x00\x00\x00WEBPVP8 "), 40005},
		{"png as thumb", "thumb", "media", "a.jpg", wcPicture(1), 40005},
		{"empty", "image", "media", "a.png", nil, 44001},
		{"image over 2 MiB", "image", "media", "a.png", big(wcPicture(1), 2<<20+1), 45001},
		{"voice over 2 MiB", "voice", "media", "a.mp3", big(wcMP3(10), 2<<20+1), 45001},
		{"thumb over 64 KiB", "thumb", "media", "a.jpg", big(wcThumb(), 64<<10+1), 45001},
		{"video over 10 MiB", "video", "media", "a.mp4", big(wcFilm(), 10<<20+1), 45001},
		{"amr over 60 s", "voice", "media", "a.amr", wcSilence(3001), 45007},
		{"mp3 over 60 s", "voice", "media", "a.mp3", wcMP3(2400), 45007},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := wcUpload(t, api, "/cgi-bin/media/upload?type="+tc.kind+"&", tc.field, tc.file, tc.data)
			if wcCode(out) != tc.want {
				t.Fatalf("%v, want %d", out, tc.want)
			}
			if tc.want != 0 {
				return
			}
			id, _ := out["media_id"].(string)
			if tc.kind == "thumb" {
				id, _ = out["thumb_media_id"].(string)
			}
			if m := w.Media(id); m == nil || !bytes.Equal(m.Bytes(), tc.data) || out["type"] != tc.kind || out["created_at"] == nil {
				t.Errorf("stored %+v, answered %v", m, out)
			}
		})
	}
	token := wcTokenOf(t, api)
	if out := wcCall(t, api, "POST", "/cgi-bin/media/upload?type=image&access_token="+token, "x"); wcCode(out) != 41005 {
		t.Errorf("no form: %v", out)
	}
	out := wcUpload(t, api, "/cgi-bin/media/uploadimg?", "media", "a.png", wcPicture(7))
	link, _ := out["url"].(string)
	if raw, resp := wcRaw(t, api, "GET", strings.TrimPrefix(link, api.URL), "", nil); resp.StatusCode != http.StatusOK || !bytes.Equal(raw, wcPicture(7)) {
		t.Errorf("uploadimg: %v", out)
	}
	if out := wcUpload(t, api, "/cgi-bin/media/uploadimg?", "media", "a.gif", gif); wcCode(out) != 40005 {
		t.Errorf("uploadimg of a GIF: %v", out)
	}
}

func TestWeChatUserMedia(t *testing.T) {
	w, s, api := wcNewPair(t, nil)
	token := wcTokenOf(t, api) // also teaches the simulator its own address
	element := func(name string) string {
		all := s.pushes()
		root, err := parseWcXML([]byte(all[len(all)-1].xml))
		if err != nil || root.child(name) == nil {
			t.Fatalf("no %s: %v", name, err)
		}
		return root.child(name).text
	}
	get := func(id string) ([]byte, wcHead) {
		return wcRaw(t, api, "GET", "/cgi-bin/media/get?access_token="+token+"&media_id="+url.QueryEscape(id), "", nil)
	}
	fetch := func(link string) []byte {
		t.Helper()
		path, ok := strings.CutPrefix(link, api.URL)
		if !ok {
			t.Fatalf("%s is not at %s", link, api.URL)
		}
		raw, resp := wcRaw(t, api, "GET", path, "", nil)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
		return raw
	}
	w.Push(wcSoon(t), w.ImageOf(wcTestUser, wcPicture(5)))
	image, pic := element("MediaId"), element("PicUrl")
	raw, resp := get(image)
	if !bytes.Equal(raw, wcPicture(5)) || resp.Header.Get("Content-Type") != "image/png" ||
		!strings.HasPrefix(resp.Header.Get("Content-Disposition"), `attachment; filename="`) {
		t.Errorf("image: %v", resp.Header)
	}
	if !bytes.Equal(fetch(pic), wcPicture(5)) {
		t.Error("PicUrl leads to another picture")
	}
	w.Push(wcSoon(t), w.Voice(wcTestUser))
	if raw, resp := get(element("MediaId")); !bytes.HasPrefix(raw, []byte("#!AMR\n")) || resp.Header.Get("Content-Type") != "audio/amr" {
		t.Errorf("voice: %v", resp.Header)
	}
	w.Push(wcSoon(t), w.Video(wcTestUser))
	raw, _ = get(element("MediaId"))
	var video struct {
		URL string `json:"video_url"`
	}
	if err := json.Unmarshal(raw, &video); err != nil || !bytes.Equal(fetch(video.URL), wcFilm()) {
		t.Errorf("video: %q %v", raw, err)
	}
	w.Push(wcSoon(t), w.Image(wcTestUser))
	first := element("PicUrl")
	w.Push(wcSoon(t), w.Image(wcTestUser))
	if bytes.Equal(fetch(first), fetch(element("PicUrl"))) {
		t.Error("two pictures are the same")
	}

	w.Advance(wcMediaLife + time.Second)
	token = wcTokenOf(t, api)
	for _, id := range []string{image, "nope", ""} {
		raw, resp := get(id)
		if want := map[bool]int{true: 41006, false: 40007}[id == ""]; !strings.HasPrefix(string(raw), fmt.Sprintf(`{"errcode":%d,`, want)) ||
			resp.Header.Get("Content-Type") != "text/plain" || resp.StatusCode != http.StatusOK {
			t.Errorf("%q: %s %v", id, raw, resp.Header)
		}
	}
	if w.findMedia(image, "image") != nil || !bytes.Equal(fetch(pic), wcPicture(5)) {
		t.Error("after three days the id is over and PicUrl is not")
	}
}

func TestWeChatMediaBound(t *testing.T) {
	w := NewWeChat(WeChatConfig{KeepMedia: 3})
	defer w.Close()
	var ids []string
	for i := range 5 {
		ids = append(ids, w.keepMedia("image", "a.png", wcPicture(int64(i))).ID)
	}
	for i, id := range ids {
		if (w.Media(id) != nil) != (i >= 2) {
			t.Errorf("file %d kept: %v", i, w.Media(id) != nil)
		}
	}
}

func TestWeChatAccountCalls(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	token := wcTokenOf(t, api)
	call := func(method, path, body string) map[string]any {
		t.Helper()
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		return wcCall(t, api, method, "/cgi-bin/"+path+sep+"access_token="+token, body)
	}
	t.Run("user info", func(t *testing.T) {
		if out := call("GET", "user/info?openid=oNOBODY", ""); wcCode(out) != 40003 {
			t.Errorf("unknown: %v", out)
		}
		w.Follow(wcTestUser)
		if out := call("GET", "user/info?openid="+wcTestUser, ""); out["subscribe"] != 1.0 || out["nickname"] != "" || out["unionid"] == nil {
			t.Errorf("follower: %v", out)
		}
		w.Unfollow(wcTestUser)
		if out := call("GET", "user/info?openid="+wcTestUser, ""); out["subscribe"] != 0.0 || len(out) != 2 {
			t.Errorf("left: %v", out)
		}
	})
	t.Run("menu", func(t *testing.T) {
		good := `{"button":[{"type":"click","name":"帮助","key":"HELP"},{"name":"更多","sub_button":[{"type":"view","name":"官网","url":"https://example.com"}]}]}`
		for body, want := range map[string]int{
			good: 0, `{"button":[]}`: 40016, `{"button":[{},{},{},{}]}`: 40016, `{"button":[{"type":"click","key":"K"}]}`: 40018,
			`{"button":[{"type":"tap","name":"N","key":"K"}]}`: 40017, `{"button":[{"type":"click","name":"N"}]}`: 40019,
			`{"button":[{"type":"view","name":"N"}]}`: 40020, `{"button":[{"type":"click","name":"` + strings.Repeat("字", 6) + `","key":"K"}]}`: 40018,
			`{"button":[{"type":"click","name":"N","sub_button":[{"type":"click","name":"N","key":"K"}]}]}`: 40023,
			`{"button":[{"type":"click","name":"\u5e2e","key":"K"}]}`:                                       40033,
		} {
			if out := call("POST", "menu/create", body); wcCode(out) != want {
				t.Errorf("%s: %v, want %d", body, out, want)
			}
		}
		if out := call("GET", "menu/get", ""); out["menu"] == nil {
			t.Errorf("get: %v", out)
		}
		out := call("GET", "get_current_selfmenu_info", "")
		info, _ := json.Marshal(out["selfmenu_info"])
		if out["is_menu_open"] != 1.0 || !strings.Contains(string(info), `"sub_button":{"list":[{`) {
			t.Errorf("self menu: %v", out)
		}
		if out := call("GET", "menu/delete", ""); wcCode(out) != 0 || w.Menu() != nil {
			t.Errorf("delete: %v", out)
		}
		if out := call("GET", "menu/get", ""); wcCode(out) != 46003 {
			t.Errorf("get after delete: %v", out)
		}
	})
	t.Run("QR", func(t *testing.T) {
		out := call("POST", "qrcode/create", `{"expire_seconds":60,"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":"bind-42"}}}`)
		ticket, _ := out["ticket"].(string)
		p, ok := w.Scan("oNEW", ticket)
		if !ok || p.Event != "subscribe" || p.Key != "qrscene_bind-42" || !strings.Contains(p.Inner, ticket) {
			t.Errorf("first scan: %+v of %v", p, out)
		}
		w.Push(wcSoon(t), p)
		if p, _ := w.Scan("oNEW", ticket); p.Event != "SCAN" || p.Key != "bind-42" {
			t.Errorf("second scan: %+v", p)
		}
		if out := call("GET", "user/info?openid=oNEW", ""); out["qr_scene_str"] != "bind-42" {
			t.Errorf("user info: %v", out)
		}
		w.Advance(61 * time.Second)
		if _, ok := w.Scan("oNEW", ticket); ok {
			t.Error("expired code was scanned")
		}
		for body, want := range map[string]int{
			`{"action_name":"QR_SCENE","action_info":{"scene":{"scene_id":7}}}`:            0,
			`{"action_name":"QR_LIMIT_SCENE","action_info":{"scene":{"scene_id":100001}}}`: 40053,
			`{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":""}}}`:      40053,
			`{"action_name":"QR","action_info":{"scene":{"scene_id":7}}}`:                  40053,
		} {
			if out := call("POST", "qrcode/create", body); wcCode(out) != want {
				t.Errorf("%s: %v, want %d", body, out, want)
			}
		}
	})
	t.Run("diagnosis", func(t *testing.T) {
		for _, tc := range []struct {
			method, path, body string
			want               int
			has                string
		}{
			{"GET", "getcallbackip", "", 0, "ip_list"},
			{"GET", "get_api_domain_ip", "", 0, "ip_list"},
			{"POST", "callback/check", `{"action":"all","check_operator":"DEFAULT"}`, 0, "ping"},
			{"POST", "callback/check", `{"action":"x","check_operator":"DEFAULT"}`, 40202, ""},
			{"POST", "callback/check", `{"action":"dns","check_operator":"X"}`, 40203, ""},
			{"POST", "clear_quota", `{"appid":"` + wcTestAppID + `"}`, 0, ""},
			{"POST", "clear_quota", `{"appid":"x"}`, 40013, ""},
			{"POST", "openapi/quota/get", `{"cgi_path":"/cgi-bin/user/info"}`, 0, "quota"},
			{"POST", "openapi/quota/get", `{"cgi_path":"/cgi-bin/x"}`, 76021, ""},
			{"POST", "openapi/quota/get", `{"cgi_path":"x"}`, 76003, ""},
			{"GET", "no/such/call", "", 40066, ""},
			{"POST", "getcallbackip", "{}", 43001, ""},
		} {
			out := call(tc.method, tc.path, tc.body)
			if wcCode(out) != tc.want || (tc.has != "" && out[tc.has] == nil) {
				t.Errorf("%s %s: %v", tc.path, tc.body, out)
			}
		}
		w.SetCallbackURL("")
		if out := call("POST", "callback/check", `{"action":"all","check_operator":"DEFAULT"}`); wcCode(out) != 40201 {
			t.Errorf("no URL: %v", out)
		}
	})
}

func TestWeChatPaths(t *testing.T) {
	_, _, api := wcNewPair(t, nil)
	for path, want := range map[string]int{
		"/": 404, "/pic/nope/0": 404, "/control/wechat": 200, "/control/wechat/nope": 404, "/control/wechat/push": 405,
	} {
		if raw, resp := wcRaw(t, api, "GET", path, "", io.Reader(nil)); resp.StatusCode != want {
			t.Errorf("%s: %d %s", path, resp.StatusCode, raw)
		}
	}
}

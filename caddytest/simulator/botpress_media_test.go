package simulator

import (
	"bytes"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"net/http"
	"strconv"
	"testing"

	"github.com/gabriel-vasile/mimetype"
)

func TestBotpressMedia(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	for name, kind := range map[string]string{
		"picture.png": "image/png", "photo.jpg": "image/jpeg", "sound.mp3": "audio/mpeg", "clip.mp4": "video/mp4", "document.pdf": "application/pdf",
	} {
		t.Run(name, func(t *testing.T) {
			url := rig.server.URL + "/media/" + name
			a := rig.raw("GET", url, "", "")
			if a.status != 200 || a.header.Get("Content-Type") != kind || a.header.Get("Content-Length") != strconv.Itoa(len(a.body)) {
				t.Errorf("%d %v", a.status, a.header)
			}
			if got := mimetype.Detect([]byte(a.body)).String(); got != kind {
				t.Errorf("the content is %s", got)
			}
			if head := rig.raw("HEAD", url, "", ""); head.status != 200 || head.header.Get("Content-Length") != a.header.Get("Content-Length") {
				t.Errorf("HEAD %d %v", head.status, head.header)
			}
			req, _ := http.NewRequest(http.MethodGet, url, nil)
			req.Header.Set("Range", "bytes=2-5")
			resp, err := rig.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var part bytes.Buffer
			_, _ = part.ReadFrom(resp.Body)
			if resp.StatusCode != http.StatusPartialContent || part.String() != a.body[2:6] {
				t.Errorf("range: %d %q", resp.StatusCode, part.String())
			}
		})
	}
	for _, name := range []string{"picture.png", "photo.jpg"} {
		m, _, err := image.Decode(bytes.NewReader([]byte(rig.raw("GET", rig.server.URL+"/media/"+name, "", "").body)))
		if err != nil || m.Bounds().Dx() != 320 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a := rig.raw("GET", rig.server.URL+"/media/none.png", "", ""); a.status != 404 {
		t.Errorf("unknown file: %d", a.status)
	}
}

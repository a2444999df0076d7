package wechat

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"testing"
	"time"
)

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

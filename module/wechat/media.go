package wechat

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"strings"
	"time"
)

// MediaKind is a kind of temporary media.
type MediaKind string

// What WeChat takes as temporary media. Its pages disagree on pictures: one says
// 10 MB, one 2 MB, so stay below 2 MB.
const (
	// MediaImage is PNG, JPEG or GIF, below 2 MB.
	MediaImage MediaKind = "image"
	// MediaVoice is AMR or MP3, at most 2 MB and 60 s.
	MediaVoice MediaKind = "voice"
	// MediaVideo is MP4, at most 10 MB.
	MediaVideo MediaKind = "video"
	// MediaThumb is a JPG thumbnail, at most 64 KB.
	MediaThumb MediaKind = "thumb"
)

// MediaLife is how long uploaded temporary media can be used.
const MediaLife = 3 * 24 * time.Hour

// Media is an uploaded file.
type Media struct {
	// ID serves in messages and passive replies, as often as wanted, for
	// MediaLife after CreatedAt.
	ID string
	// CreatedAt is WeChat's time of the upload.
	CreatedAt time.Time
}

// mediaTypes are the extensions and content types of what WeChat takes.
var mediaTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
	".amr": "audio/amr", ".mp3": "audio/mpeg", ".mp4": "video/mp4",
}

// Upload stores temporary media. WeChat goes by the extension of filename; without
// one it gets the usual one of kind. Characters other than letters, digits, dot,
// dash and underscore are replaced.
func (c *Client) Upload(ctx context.Context, kind MediaKind, filename string, data []byte) (Media, error) {
	if len(data) == 0 {
		return Media{}, fmt.Errorf("uploading media: %w: no data", ErrMessage)
	}
	body, contentType, err := encodeUpload(kind, filename, data)
	if err != nil {
		return Media{}, err
	}
	var answer struct {
		MediaID      string      `json:"media_id"`
		ThumbMediaID string      `json:"thumb_media_id"` // instead of it, for thumbnails
		CreatedAt    json.Number `json:"created_at"`
	}
	err = c.call(ctx, request{
		method:      http.MethodPost,
		path:        pathUpload,
		query:       url.Values{"type": {string(kind)}},
		contentType: contentType,
		body:        body,
		timeout:     uploadFactor * c.timeout,
	}, &answer)
	if err != nil {
		return Media{}, err
	}
	m := Media{ID: cmp.Or(answer.MediaID, answer.ThumbMediaID), CreatedAt: c.now()}
	if m.ID == "" {
		return Media{}, &TransportError{API: pathUpload, reason: "the answer holds no media id", ambiguous: true}
	}
	if sec, err := answer.CreatedAt.Int64(); err == nil && sec > 0 {
		m.CreatedAt = time.Unix(sec, 0)
	}
	return m, nil
}

func encodeUpload(kind MediaKind, filename string, data []byte) ([]byte, string, error) {
	var b bytes.Buffer
	b.Grow(len(data) + 512)
	w := multipart.NewWriter(&b)
	name, contentType := uploadName(kind, filename)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="media"; filename="` + name + `"`},
		"Content-Type":        {contentType},
	})
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, "", errors.New("encoding upload: the form cannot be written")
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// uploadName returns a harmless file name with an extension, and its type.
func uploadName(kind MediaKind, filename string) (name, contentType string) {
	name = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, path.Base(strings.ReplaceAll(filename, `\`, "/")))
	ext := strings.ToLower(path.Ext(name))
	stem := strings.Trim(strings.TrimSuffix(name, path.Ext(name)), "._")
	if ext == "" || ext == "." {
		ext = map[MediaKind]string{MediaVoice: ".mp3", MediaVideo: ".mp4"}[kind]
		ext = cmp.Or(ext, ".jpg")
	}
	if len(stem) > 100 {
		stem = stem[:100]
	}
	return cmp.Or(stem, "media") + ext, cmp.Or(mediaTypes[ext], "application/octet-stream")
}

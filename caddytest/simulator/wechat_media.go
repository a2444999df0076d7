package simulator

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// wcMediaLife is how long a temporary media_id lives.
const wcMediaLife = 3 * 24 * time.Hour

// Media describes a file the account uploaded or a user sent.
type Media struct {
	ID          string    `json:"media_id"`
	Kind        string    `json:"kind"` // image, voice, video, thumb
	Name        string    `json:"name"` // as uploaded
	ContentType string    `json:"content_type"`
	Size        int       `json:"size"`
	SHA256      string    `json:"sha256"`
	Created     time.Time `json:"created"` // on the account's clock

	data []byte
}

// Bytes returns the file. It must not be changed.
func (m *Media) Bytes() []byte { return m.data }

// wcMediaStore keeps the newest files.
type wcMediaStore struct {
	keep  int
	mu    sync.RWMutex
	all   map[string]*Media
	order []string
}

func newWcMediaStore(keep int) *wcMediaStore {
	return &wcMediaStore{keep: max(keep, 1), all: map[string]*Media{}}
}

func (s *wcMediaStore) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.order = map[string]*Media{}, nil
}

// keepMedia stores a file under a new media_id.
func (w *WeChat) keepMedia(kind, name string, data []byte) *Media {
	var id [48]byte
	rand.Read(id[:])
	sum := sha256.Sum256(data)
	contentType, _ := wcSniff(data)
	m := &Media{
		ID: base64.RawURLEncoding.EncodeToString(id[:]), Kind: kind, Name: name, ContentType: contentType,
		Size: len(data), SHA256: hex.EncodeToString(sum[:]), Created: w.now(), data: data,
	}
	s := w.media
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[m.ID] = m
	s.order = append(s.order, m.ID)
	if len(s.order) > s.keep {
		delete(s.all, s.order[0])
		s.order = s.order[1:]
	}
	return m
}

// Media returns the file behind a media_id, also one that has expired, or nil.
func (w *WeChat) Media(id string) *Media {
	w.media.mu.RLock()
	defer w.media.mu.RUnlock()
	return w.media.all[id]
}

// findMedia returns the file if it is of that kind ("" = any) and its id has not expired.
func (w *WeChat) findMedia(id, kind string) *Media {
	m := w.Media(id)
	if m == nil || (kind != "" && m.Kind != kind) || !w.now().Before(m.Created.Add(wcMediaLife)) {
		return nil
	}
	return m
}

func (w *WeChat) picURL(m *Media) string {
	return w.publicBase() + "/pic/" + m.ID + "/0"
}

// servePic serves /pic/<id>/0, as the picture host and the video host do: to anyone, and
// longer than the media_id lives.
func (w *WeChat) servePic(rw http.ResponseWriter, r *http.Request) {
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/pic/"), "/0")
	m := w.Media(id)
	if m == nil {
		http.NotFound(rw, r)
		return
	}
	rw.Header().Set("Content-Type", m.ContentType)
	http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(m.data))
}

// wcUploadRule is what media/upload takes of a type.
type wcUploadRule struct {
	types, exts []string
	limit       int64 // bytes; 0 = WeChatConfig.ImageLimit
}

var wcUploadRules = map[string]wcUploadRule{
	"image": {[]string{"image/png", "image/jpeg", "image/gif"}, []string{".png", ".jpg", ".jpeg", ".gif"}, 0},
	"voice": {[]string{"audio/amr", "audio/mpeg"}, []string{".amr", ".mp3"}, 2 << 20},
	"video": {[]string{"video/mp4"}, []string{".mp4"}, 10 << 20},
	"thumb": {[]string{"image/jpeg"}, []string{".jpg", ".jpeg"}, 64 << 10},
}

// apiUpload is POST /cgi-bin/media/upload.
func (w *WeChat) apiUpload(rq *wcRequest) (any, error) {
	kind := rq.q.Get("type")
	rule, ok := wcUploadRules[kind]
	if !ok {
		return nil, wcFail(40004, "invalid media type")
	}
	if rule.limit == 0 {
		rule.limit = w.cfg.ImageLimit
	}
	name, data, err := wcFormFile(rq)
	if err != nil {
		return nil, err
	}
	if err := rule.check(name, data); err != nil {
		return nil, err
	}
	m := w.keepMedia(kind, name, data)
	out := map[string]any{"type": kind, "media_id": m.ID, "created_at": m.Created.Unix(), "item": []any{}}
	if kind == "thumb" {
		delete(out, "media_id")
		out["thumb_media_id"] = m.ID
	}
	return out, nil
}

func (r wcUploadRule) check(name string, data []byte) error {
	contentType, ok := wcSniff(data)
	switch {
	case len(data) == 0:
		return wcFail(44001, "empty media data")
	case !ok || !slices.Contains(r.types, contentType), !slices.Contains(r.exts, strings.ToLower(path.Ext(name))):
		return wcFail(40005, "invalid file type")
	case int64(len(data)) > r.limit:
		return wcFail(45001, "media size out of limit")
	case wcPlays(contentType, data) > time.Minute:
		return wcFail(45007, "playtime out of limit")
	}
	return nil
}

// apiUploadImage is POST /cgi-bin/media/uploadimg: JPG or PNG below 1 MB, for article bodies.
func (w *WeChat) apiUploadImage(rq *wcRequest) (any, error) {
	name, data, err := wcFormFile(rq)
	if err != nil {
		return nil, err
	}
	rule := wcUploadRule{[]string{"image/png", "image/jpeg"}, []string{".png", ".jpg", ".jpeg"}, 1 << 20}
	if err := rule.check(name, data); err != nil {
		return nil, err
	}
	return map[string]any{"url": w.picURL(w.keepMedia("image", name, data))}, nil
}

// wcFormFile takes the file out of the multipart field "media", which must have a filename.
func wcFormFile(rq *wcRequest) (string, []byte, error) {
	missing := wcFail(41005, "media data missing")
	rq.r.Body = io.NopCloser(bytes.NewReader(rq.body))
	mr, err := rq.r.MultipartReader()
	if err != nil {
		return "", nil, missing
	}
	for {
		part, err := mr.NextPart()
		if err != nil {
			return "", nil, missing
		}
		if part.FormName() != "media" || part.FileName() == "" {
			continue
		}
		data, err := wcReadPart(mr, part)
		if err != nil {
			return "", nil, missing
		}
		return part.FileName(), data, nil
	}
}

// wcReadPart reads a part, and the rest of the form behind it, which must be complete.
func wcReadPart(mr *multipart.Reader, part *multipart.Part) ([]byte, error) {
	data, err := io.ReadAll(part)
	if err != nil {
		return nil, err
	}
	for {
		if _, err := mr.NextPart(); errors.Is(err, io.EOF) {
			return data, nil
		} else if err != nil {
			return nil, err
		}
	}
}

// apiMediaGet is GET /cgi-bin/media/get.
func (w *WeChat) apiMediaGet(rq *wcRequest) (any, error) {
	id := rq.q.Get("media_id")
	if id == "" {
		return nil, wcFail(41006, "media_id missing")
	}
	m := w.findMedia(id, "")
	switch {
	case m == nil:
		return nil, wcFail(40007, "invalid media_id")
	case m.Kind == "video":
		return map[string]string{"video_url": w.picURL(m)}, nil
	}
	return wcFile{m.ContentType, m.Name, m.data}, nil
}

package wechat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxTextBytes is the longest text, in bytes of UTF-8, that WeChat has been seen
// to take in one message, passive or sent. WeChat names no figure; stay at 2000.
const MaxTextBytes = 2048

// Reply is a passive reply: the answer to the push itself, one per push.
type Reply interface {
	// append adds the elements from MsgType on. articles is how many the
	// push allows in a news reply.
	append(b []byte, articles int) ([]byte, error)
}

// TextReply is a text; `<a href>` works in it, Markdown does not. It must not be
// empty, nor longer than MaxTextBytes.
type TextReply struct{ Content string }

// ImageReply is an uploaded picture.
type ImageReply struct{ MediaID string }

// VoiceReply is an uploaded recording.
type VoiceReply struct{ MediaID string }

// VideoReply is an uploaded video; Title and Description may be empty.
type VideoReply struct{ MediaID, Title, Description string }

// MusicReply is a piece of music; only ThumbMediaID is mandatory.
type MusicReply struct{ Title, Description, MusicURL, HQMusicURL, ThumbMediaID string }

// Article is a card with a picture that opens URL. PicURL is a JPG or PNG,
// 360x200 or 200x200 pixels.
type Article struct{ Title, Description, URL, PicURL string }

// NewsReply is one or more cards: at most one in answer to a message, at most
// eight in answer to an event.
type NewsReply struct{ Articles []Article }

// TransferReply hands the message over to the account's human agents. KfAccount
// (name@id) picks one; empty leaves the choice to WeChat.
type TransferReply struct{ KfAccount string }

// EncodeReply returns the XML of a passive reply to p, with now as its CreateTime.
// It refuses a reply that WeChat would not take or would cut, because the user
// would then read a failure notice. Control characters are dropped from the texts.
func EncodeReply(p *Push, r Reply, now time.Time) ([]byte, error) {
	if p.FromUserName == "" || p.ToUserName == "" {
		return nil, errors.New("encoding passive reply: the push names no sender or no account")
	}
	articles := 8
	if !p.IsEvent() {
		articles = 1
	}
	room := takeRoom()
	defer room.giveBack()
	b := append(room.text[:0], "<xml>"...)
	b = appendCDATA(b, "ToUserName", p.FromUserName)
	b = appendCDATA(b, "FromUserName", p.ToUserName)
	b = append(b, "<CreateTime>"...)
	b = strconv.AppendInt(b, now.Unix(), 10)
	b = append(b, "</CreateTime>"...)
	b, err := r.append(b, articles)
	if err != nil {
		return nil, fmt.Errorf("encoding passive reply: %w", err)
	}
	b = append(b, "</xml>"...)
	room.text = b
	return append(make([]byte, 0, len(b)), b...), nil
}

func (r TextReply) append(b []byte, _ int) ([]byte, error) {
	content := cleanText(r.Content)
	switch {
	case content == "":
		return nil, errors.New("empty text")
	case len(content) > MaxTextBytes:
		return nil, fmt.Errorf("text of %d bytes, at most %d", len(content), MaxTextBytes)
	}
	b = appendCDATA(b, "MsgType", "text")
	return appendClean(b, "Content", content), nil
}

func (r ImageReply) append(b []byte, _ int) ([]byte, error) {
	return appendMedia(b, "image", "Image", r.MediaID)
}

func (r VoiceReply) append(b []byte, _ int) ([]byte, error) {
	return appendMedia(b, "voice", "Voice", r.MediaID)
}

func (r VideoReply) append(b []byte, _ int) ([]byte, error) {
	return appendMedia(b, "video", "Video", r.MediaID,
		[2]string{"Title", r.Title}, [2]string{"Description", r.Description})
}

func (r MusicReply) append(b []byte, _ int) ([]byte, error) {
	if r.ThumbMediaID == "" {
		return nil, errors.New("no media id of a thumbnail")
	}
	b = appendCDATA(b, "MsgType", "music")
	b = append(b, "<Music>"...)
	b = appendOptional(b, [][2]string{
		{"Title", r.Title},
		{"Description", r.Description},
		{"MusicUrl", r.MusicURL},
		{"HQMusicUrl", r.HQMusicURL},
	})
	b = appendCDATA(b, "ThumbMediaId", r.ThumbMediaID)
	return append(b, "</Music>"...), nil
}

func (r NewsReply) append(b []byte, articles int) ([]byte, error) {
	if n := len(r.Articles); n < 1 || n > articles {
		return nil, fmt.Errorf("%d articles, want 1 to %d", n, articles)
	}
	b = appendCDATA(b, "MsgType", "news")
	b = append(b, "<ArticleCount>"...)
	b = strconv.AppendInt(b, int64(len(r.Articles)), 10)
	b = append(b, "</ArticleCount><Articles>"...)
	for _, a := range r.Articles {
		b = append(b, "<item>"...)
		b = appendCDATA(b, "Title", a.Title)
		b = appendCDATA(b, "Description", a.Description)
		b = appendCDATA(b, "PicUrl", a.PicURL)
		b = appendCDATA(b, "Url", a.URL)
		b = append(b, "</item>"...)
	}
	return append(b, "</Articles>"...), nil
}

func (r TransferReply) append(b []byte, _ int) ([]byte, error) {
	b = appendCDATA(b, "MsgType", "transfer_customer_service")
	if r.KfAccount == "" {
		return b, nil
	}
	b = append(b, "<TransInfo>"...)
	b = appendCDATA(b, "KfAccount", r.KfAccount)
	return append(b, "</TransInfo>"...), nil
}

func appendMedia(b []byte, msgType, element, mediaID string, more ...[2]string) ([]byte, error) {
	if mediaID == "" {
		return nil, errors.New("no media id")
	}
	b = appendCDATA(b, "MsgType", msgType)
	b = append(b, '<')
	b = append(b, element...)
	b = append(b, '>')
	b = appendCDATA(b, "MediaId", mediaID)
	b = appendOptional(b, more)
	b = append(b, "</"...)
	b = append(b, element...)
	return append(b, '>'), nil
}

func appendOptional(b []byte, pairs [][2]string) []byte {
	for _, p := range pairs {
		if p[1] != "" {
			b = appendCDATA(b, p[0], p[1])
		}
	}
	return b
}

// appendCDATA adds one element whose text a parser reads back as cleanText(text),
// whatever it holds.
func appendCDATA(b []byte, name, text string) []byte {
	return appendClean(b, name, cleanText(text))
}

// appendClean is appendCDATA for clean text. The end mark of a CDATA section is
// split over two.
func appendClean(b []byte, name, text string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, "><![CDATA["...)
	for {
		before, after, found := strings.Cut(text, "]]>")
		b = append(b, before...)
		if !found {
			break
		}
		b = append(b, "]]]]><![CDATA[>"...)
		text = after
	}
	b = append(b, "]]></"...)
	b = append(b, name...)
	return append(b, '>')
}

package bridge

import (
	"cmp"
	"strings"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/markdown"
	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

type partKind int

const (
	partText partKind = iota
	partImage
	partVoice
	partVideo
	partNews
	partMenu
)

// part is one WeChat message that a payload becomes.
type part struct {
	kind   partKind
	text   string // of a text; of a menu, what it is as a text
	joins  bool   // goes on in the middle of the text before it
	offers bool   // shows options of its reply

	url   string // where a file is fetched
	title string // of a file

	article wechat.Article
	head    string // of a menu
	items   []wechat.MenuItem

	media string    // media_id, once the file is uploaded
	until time.Time // how long that lives
	thumb string    // media_id of a video's thumbnail; may be empty
	dead  []string  // media_ids that WeChat did not know any more; it was uploaded anew
	tries int       // how often there was no memory to fetch it
}

// mediaKinds are the parts for which something is uploaded.
var mediaKinds = map[partKind]wechat.MediaKind{
	partImage: wechat.MediaImage,
	partVoice: wechat.MediaVoice,
	partVideo: wechat.MediaVideo,
}

// ready tells whether nothing is to be uploaded for a part before it goes out.
func (p *part) ready(now time.Time) bool {
	return mediaKinds[p.kind] == "" || p.media != "" && now.Before(p.until)
}

// fallBack makes a text of what WeChat does not take. It is false if it is one
// already, or if nothing is left of it.
func (p *part) fallBack() bool {
	text := p.text
	switch p.kind {
	case partText:
		return false
	case partNews:
		text = articleText(p.article)
	case partImage, partVoice, partVideo:
		text = link(p.title, p.url)
	case partMenu:
	}
	if blank(text) {
		return false
	}
	p.kind, p.media, p.text = partText, "", text
	return true
}

// toCard makes a card of a picture, for accounts that may not upload: WeChat
// fetches it by itself.
func (p *part) toCard() {
	p.kind, p.media = partNews, ""
	p.article = wechat.Article{
		Title:  clip(cmp.Or(oneLine(p.title), mediafile.Name(p.url), "图片"), titleLimit),
		PicURL: p.url,
		URL:    p.url,
	}
}

// articleText is what a card says, as a text.
func articleText(a wechat.Article) string {
	opens := cmp.Or(a.URL, a.PicURL)
	if opens == "" {
		return lines(a.Title, a.Description)
	}
	return lines(link(a.Title, opens), a.Description)
}

// message is a part as one to be pushed. Text parts are made by the planner.
func (p *part) message() wechat.Message {
	switch p.kind {
	case partImage:
		return wechat.ImageMessage(p.media)
	case partVoice:
		return wechat.VoiceMessage(p.media)
	case partVideo:
		return wechat.VideoMessage(p.media, p.thumb, clip(oneLine(p.title), titleLimit), "")
	case partNews:
		return wechat.NewsMessage(p.article)
	case partMenu:
		return wechat.MenuMessage(p.head, p.items, "")
	case partText:
	}
	return wechat.TextMessage(p.text)
}

// reply is a part as a passive reply.
func (p *part) reply() wechat.Reply {
	switch p.kind {
	case partImage:
		return wechat.ImageReply{MediaID: p.media}
	case partVoice:
		return wechat.VoiceReply{MediaID: p.media}
	case partVideo:
		return wechat.VideoReply{MediaID: p.media, Title: clip(oneLine(p.title), titleLimit)}
	case partNews:
		return wechat.NewsReply{Articles: []wechat.Article{p.article}}
	case partMenu, partText: // a menu can only be pushed
	}
	return wechat.TextReply{Content: p.text}
}

// textParts cuts a text into parts.
func textParts(text string) []part {
	var parts []part
	for _, s := range splitText(text, textLimit) {
		if !blank(s) { // WeChat refuses empty texts
			parts = append(parts, part{text: s, joins: len(parts) > 0})
		}
	}
	return parts
}

// blank tells whether a text shows nothing.
func blank(text string) bool {
	return strings.IndexFunc(text, markdown.Shows) < 0
}

package simulator

import (
	"strings"
	"time"
)

// Typing lasts 15 s, and needs an exchange of messages within 30 s.
const (
	wcTypingShows = 15 * time.Second
	wcTypingAfter = 30 * time.Second
)

// apiSend is the customer-service message: POST /cgi-bin/message/custom/send.
func (w *WeChat) apiSend(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	seen := Seen{Type: in.str("msgtype"), Road: RoadPush, Raw: string(rq.body)}
	if ai, ok := in.obj("aimsgcontext").num("is_ai_msg"); ok && ai == 1 {
		seen.AI = true
	}
	if err := w.readMessage(&seen, in); err != nil {
		return nil, err
	}
	u, err := w.reachable(rq.openid)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !w.cfg.NoAllowance {
		switch u.spend(w.now()) {
		case 45015:
			return nil, wcFail(45015, "response out of time limit or subscription is canceled")
		case 45047:
			return nil, wcFail(45047, "out of response count limit")
		}
	}
	w.show(rq.openid, u, seen)
	return wcOK, nil
}

// reachable finds the user a message is for.
func (w *WeChat) reachable(openid string) (*wcUser, error) {
	u := w.user(openid, false)
	if u == nil {
		return nil, wcFail(40003, "invalid openid")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.following:
		return u, nil
	case u.since.IsZero():
		return nil, wcFail(40003, "invalid openid")
	}
	return nil, wcFail(43004, "require subscribe")
}

// readMessage checks the message itself, and fills in what the user sees of it.
func (w *WeChat) readMessage(seen *Seen, in wcObject) error {
	o := in.obj(seen.Type)
	switch seen.Type {
	case "text":
		seen.Text = o.str("content")
		if seen.Text == "" {
			return wcFail(44004, "empty content")
		}
		if len(seen.Text) > wcMaxText {
			return wcFail(45002, "content size out of limit")
		}
	case "image", "voice":
		return w.readMedia(seen, o, "media_id", seen.Type)
	case "video":
		seen.Text = o.str("title")
		if err := w.readMedia(seen, o, "thumb_media_id", "thumb"); err != nil {
			return err
		}
		return w.readMedia(seen, o, "media_id", "video")
	case "music":
		seen.Text = o.str("title")
		return w.readMedia(seen, o, "thumb_media_id", "thumb")
	case "news":
		return readNews(seen, o)
	case "msgmenu":
		return w.readMenu(seen, o)
	case "mpnews", "mpnewsarticle", "wxcard", "miniprogrampage":
		seen.Text = o.str("title")
		if len(o) == 0 {
			return wcFail(47001, "data format error")
		}
	default:
		return wcFail(40008, "invalid message type")
	}
	return nil
}

func (w *WeChat) readMedia(seen *Seen, o wcObject, name, kind string) error {
	seen.MediaID = o.str(name)
	if seen.MediaID == "" {
		return wcFail(41006, "media_id missing")
	}
	if seen.Media = w.findMedia(seen.MediaID, kind); seen.Media == nil {
		return wcFail(40007, "invalid media_id")
	}
	return nil
}

// readNews takes exactly one article.
func readNews(seen *Seen, o wcObject) error {
	articles := o.list("articles")
	switch {
	case len(articles) == 0:
		return wcFail(44003, "empty news data")
	case len(articles) > 1:
		return wcFail(45008, "article size out of limit")
	}
	first, _ := articles[0].(map[string]any)
	seen.Text = wcObject(first).str("title")
	return nil
}

// readMenu reads a menu of tappable items, which sandbox accounts do not have.
func (w *WeChat) readMenu(seen *Seen, o wcObject) error {
	if w.settings.Load().kind == KindSandbox {
		return wcFail(48008, "no permission for this msgtype")
	}
	lines := []string{o.str("head_content")}
	for _, item := range o.list("list") {
		m, _ := item.(map[string]any)
		if i := wcObject(m); i.str("id") == "" || i.str("content") == "" {
			return wcFail(47001, "data format error")
		}
		lines = append(lines, wcObject(m).str("content"))
	}
	if len(lines) == 1 {
		return wcFail(47001, "data format error")
	}
	seen.Text = strings.Trim(strings.Join(append(lines, o.str("tail_content")), "\n"), "\n")
	return nil
}

// apiTyping is POST /cgi-bin/message/custom/typing.
func (w *WeChat) apiTyping(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	command := in.str("command")
	if command != "Typing" && command != "CancelTyping" {
		return nil, wcFail(45072, "invalid command")
	}
	u, err := w.reachable(rq.openid)
	if err != nil {
		return nil, err
	}
	now := w.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case command == "CancelTyping":
		u.typing = time.Time{}
		w.tellTyping(rq.openid, 0)
	case now.Sub(u.exchange) > wcTypingAfter:
		return nil, wcFail(45080, "no message exchanged in the last 30 seconds")
	case now.Before(u.typing):
		return nil, wcFail(45081, "already typing")
	default:
		u.typing = now.Add(wcTypingShows)
		w.tellTyping(rq.openid, wcTypingShows)
	}
	return wcOK, nil
}

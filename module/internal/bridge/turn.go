package bridge

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// kindOf names a push for logs and for whoever looks into the journal: the
// message type, or the event behind a colon.
func kindOf(p *wechat.Push) string {
	if p.IsEvent() {
		return "event:" + p.Event
	}
	return p.MsgType
}

// newTurn makes of a push what the bot gets. It returns false for what the bot
// is not told.
func newTurn(s *Settings, row journal.Push, p *wechat.Push) (bots.Turn, bool) {
	t := bots.Turn{
		ID:       p.MsgID,
		Received: row.ReceivedAt,
		Raw:      row.Body,
	}
	if p.IsEvent() {
		t.ID = eventID(p)
		if !eventTurn(s, &t, p) {
			return t, false
		}
	} else {
		t.Message = encoded(message(p))
	}
	t.Metadata = map[string]any{
		"wechatMsgId": t.ID,
		"appId":       s.AppID,
		"openid":      p.FromUserName,
		"type":        kindOf(p),
	}
	return t, true
}

// eventID stands in for the MsgId that events do not carry.
func eventID(p *wechat.Push) string {
	return eventName(strconv.FormatInt(p.CreateTime, 10), p.Key())
}

// message makes the Botpress payload of a user's message.
func message(p *wechat.Push) botpress.Outgoing {
	switch b := p.Body.(type) {
	case *wechat.Text:
		if p.IsUnsupportedPlaceholder() {
			return botpress.TextPayload("[表情或暂不支持的消息]")
		}
		if strings.TrimSpace(b.Content) != "" {
			return botpress.TextPayload(b.Content)
		}
	case *wechat.Image:
		if b.PicURL != "" {
			return botpress.ImagePayload(b.PicURL)
		}
	case *wechat.Location:
		return botpress.LocationPayload(b.Latitude, b.Longitude, b.Label, b.Label)
	case *wechat.Link:
		if text := lines(b.Title, b.Description, b.URL); text != "" {
			return botpress.TextPayload(text)
		}
	}
	return botpress.TextPayload("[" + kindName(p.MsgType) + "]")
}

// kindName says in the user's language what kind of message came.
func kindName(msgType string) string {
	switch msgType {
	case "image":
		return "图片"
	case "voice":
		return "语音"
	case "video":
		return "视频"
	case "shortvideo":
		return "小视频"
	case "link":
		return "链接"
	case "text":
		return "空消息"
	}
	return "暂不支持的消息: " + msgType
}

// lines joins what is there, a line each.
func lines(parts ...string) string {
	var kept []string
	for _, s := range parts {
		if s = strings.TrimSpace(s); s != "" {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, "\n")
}

// eventTurn makes of an event what the configuration says, or the default: a
// tap on a menu button is a text with its key, a location report is nothing,
// anything else is a custom event.
func eventTurn(s *Settings, t *bots.Turn, p *wechat.Push) bool {
	rule := ruleFor(s, p)
	switch rule.Action {
	case EventIgnore, EventReply:
		return false
	case EventText:
		text := rule.Text
		if text == "" {
			text = p.EventKey
		}
		if strings.TrimSpace(text) == "" {
			text = p.Event
		}
		t.Message = encoded(botpress.TextPayload(text))
		return true
	case EventEvent:
	}
	event := p.Fields()
	event["source"] = "wechat"
	event["event"] = p.Event
	event["eventKey"] = p.EventKey
	event["eventId"] = t.ID
	event["openid"] = p.FromUserName
	event["createTime"] = p.CreateTime
	t.Event = encoded(event)
	return true
}

// ruleFor is what becomes of an event.
func ruleFor(s *Settings, p *wechat.Push) EventRule {
	rule, ok := eventRule(s.Events, p)
	if !ok {
		rule.Action = EventEvent
		switch p.Event {
		case "CLICK":
			rule.Action = EventText
		case "LOCATION":
			rule.Action = EventIgnore
		}
	}
	return rule
}

// actionOf is what becomes of a push, empty for a message.
func actionOf(s *Settings, p *wechat.Push) EventAction {
	if !p.IsEvent() {
		return ""
	}
	return ruleFor(s, p).Action
}

// encoded is a value as JSON. All that comes here is made of strings, numbers,
// lists and maps, which always can be encoded.
func encoded(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// eventRule finds what the configuration says of an event. A rule for the
// event's key goes before one for all keys.
func eventRule(rules []EventRule, p *wechat.Push) (EventRule, bool) {
	var general EventRule
	found := false
	for _, r := range rules {
		if r.Name != p.Event {
			continue
		}
		if r.Key != "" && r.Key == p.EventKey {
			return r, true
		}
		if r.Key == "" && !found {
			general, found = r, true
		}
	}
	return general, found
}

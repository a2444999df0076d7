package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// wcMaxText is the longest text WeChat delivers, in bytes of UTF-8, either way.
const wcMaxText = 2048

// wcNoReply are the events whose sender is not there to read a reply.
var wcNoReply = []string{
	"unsubscribe", "TEMPLATESENDJOBFINISH", "MASSSENDJOBFINISH", "PUBLISHJOBFINISH",
	"kf_create_session", "kf_close_session", "kf_switch_session", "subscribe_msg_sent_event",
}

// judge tells what kind of answer to a push this is and, if it is a passive reply, what
// the user sees of it.
func (w *WeChat) judge(s *wcSettings, p *SimPush, status int, body []byte) (string, *Seen, error) {
	if status != http.StatusOK {
		return OutcomeIllegal, nil, fmt.Errorf("status %d", status)
	}
	if len(body) == 0 {
		return OutcomeEmpty, nil, nil
	}
	if string(body) == "success" {
		return OutcomeSuccess, nil, nil
	}
	plain, err := w.unwrap(s, p, body)
	if err == nil {
		var seen *Seen
		if seen, err = w.readReply(s, p, plain); err == nil {
			return OutcomeReply, seen, nil
		}
	}
	return OutcomeIllegal, nil, err
}

// unwrap opens the envelope of an encrypted reply, and checks that the mode allows the form.
func (w *WeChat) unwrap(s *wcSettings, p *SimPush, body []byte) ([]byte, error) {
	mode := s.mode
	if p.Mode != "" {
		mode = p.Mode
	}
	root, err := parseWcXML(body)
	if err != nil {
		return nil, err
	}
	if root.name != "xml" {
		return nil, fmt.Errorf("root element <%s>", root.name)
	}
	if root.child("Encrypt") == nil {
		if mode == ModeSafe {
			return nil, errors.New("plaintext reply in safe mode")
		}
		return body, nil
	}
	if mode == ModePlain {
		return nil, errors.New("encrypted reply in plain mode")
	}
	m, err := root.fields([]string{"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}, nil)
	if err != nil {
		return nil, err
	}
	if _, err := strconv.ParseInt(m["TimeStamp"].text, 10, 64); err != nil {
		return nil, errors.New("TimeStamp is not a number")
	}
	if wcSign(s.token, m["TimeStamp"].text, m["Nonce"].text, m["Encrypt"].text) != m["MsgSignature"].text {
		return nil, errors.New("wrong MsgSignature")
	}
	msg, appID, _, err := s.cipher.open(m["Encrypt"].text)
	if err != nil {
		return nil, err
	}
	if appID != s.appID {
		return nil, errors.New("encrypted for another AppID")
	}
	return msg, nil
}

// wcReplyBody are the elements a reply of each type has besides the common ones.
var wcReplyBody = map[string]struct{ must, may []string }{
	"text":                      {must: []string{"Content"}},
	"image":                     {must: []string{"Image"}},
	"voice":                     {must: []string{"Voice"}},
	"video":                     {must: []string{"Video"}},
	"music":                     {must: []string{"Music"}},
	"news":                      {must: []string{"ArticleCount", "Articles"}},
	"transfer_customer_service": {may: []string{"TransInfo"}},
}

// readReply checks a passive reply in plaintext.
func (w *WeChat) readReply(s *wcSettings, p *SimPush, plain []byte) (*Seen, error) {
	root, err := parseWcXML(plain)
	if err != nil {
		return nil, err
	}
	if root.name != "xml" {
		return nil, fmt.Errorf("root element <%s>", root.name)
	}
	kind := root.child("MsgType")
	if kind == nil {
		return nil, errors.New("<MsgType> is missing")
	}
	shape, known := wcReplyBody[kind.text]
	if !known {
		return nil, fmt.Errorf("MsgType %q", kind.text)
	}
	common := []string{"ToUserName", "FromUserName", "CreateTime", "MsgType"}
	m, err := root.fields(append(common, shape.must...), shape.may)
	if err != nil {
		return nil, err
	}
	if m["ToUserName"].text != p.OpenID || m["FromUserName"].text != s.account {
		return nil, errors.New("names are not swapped")
	}
	if t, err := strconv.ParseInt(m["CreateTime"].text, 10, 64); err != nil || t <= 0 {
		return nil, errors.New("CreateTime is not a time")
	}
	if slices.Contains(wcNoReply, p.Event) {
		return nil, fmt.Errorf("reply to the event %s", p.Event)
	}
	seen := &Seen{Type: kind.text, Road: RoadPassive, ReplyTo: p.MsgID, Raw: string(plain)}
	return seen, w.readReplyBody(seen, p, m)
}

func (w *WeChat) readReplyBody(seen *Seen, p *SimPush, m map[string]*wcNode) error {
	switch seen.Type {
	case "text":
		seen.Text = m["Content"].text
		if len(m["Content"].kids) > 0 {
			return errors.New("elements inside <Content>")
		}
		return wcCheckText(seen.Text)
	case "image":
		return w.readReplyMedia(seen, m["Image"], "MediaId", nil)
	case "voice":
		return w.readReplyMedia(seen, m["Voice"], "MediaId", nil)
	case "video":
		return w.readReplyMedia(seen, m["Video"], "MediaId", []string{"Title", "Description"})
	case "music":
		return w.readReplyMedia(seen, m["Music"], "ThumbMediaId", []string{"Title", "Description", "MusicUrl", "HQMusicUrl"})
	case "news":
		return readReplyNews(seen, p, m)
	default:
		seen.Type = "transfer"
		return nil
	}
}

func wcCheckText(s string) error {
	switch {
	case s == "":
		return errors.New("empty text")
	case len(s) > wcMaxText:
		return fmt.Errorf("text of %d bytes", len(s))
	}
	return nil
}

func (w *WeChat) readReplyMedia(seen *Seen, n *wcNode, id string, may []string) error {
	m, err := n.fields([]string{id}, may)
	if err != nil {
		return err
	}
	if t := m["Title"]; t != nil {
		seen.Text = t.text
	}
	kind := seen.Type
	if kind == "music" {
		kind = "thumb"
	}
	seen.MediaID = m[id].text
	seen.Media = w.findMedia(seen.MediaID, kind)
	if seen.Media == nil {
		return fmt.Errorf("no %s of that %s", kind, id)
	}
	return nil
}

// readReplyNews checks the articles: one in answer to a message, up to eight to an event.
func readReplyNews(seen *Seen, p *SimPush, m map[string]*wcNode) error {
	items := m["Articles"].kids
	bound := 1
	if p.MsgType == "event" {
		bound = 8
	}
	if len(items) == 0 || len(items) > bound {
		return fmt.Errorf("%d articles", len(items))
	}
	if m["ArticleCount"].text != strconv.Itoa(len(items)) {
		return errors.New("ArticleCount is not the number of articles")
	}
	for i, item := range items {
		if item.name != "item" {
			return fmt.Errorf("<%s> among the articles", item.name)
		}
		f, err := item.fields(nil, []string{"Title", "Description", "PicUrl", "Url"})
		if err != nil {
			return err
		}
		if t := f["Title"]; t == nil || t.text == "" {
			return errors.New("an article without a title")
		} else if i == 0 {
			seen.Text = t.text
		}
	}
	return nil
}

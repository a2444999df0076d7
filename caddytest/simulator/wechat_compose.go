package simulator

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// SimPush is something a user does, as WeChat will push it. Make one with Text, Image,
// Event and the like, change what the test is about, and give it to Push. It may be pushed
// more than once, also at the same time: that is how duplicates are made.
type SimPush struct {
	OpenID     string
	MsgType    string // text, image, ..., event
	Event      string // events only
	Key        string // events only: EventKey; sent if set, and always for events that have one
	MsgID      string // messages only
	CreateTime int64  // Unix seconds
	Inner      string // further elements, as XML
	To         string // ToUserName; default the account's original id

	Raw  []byte // replaces the XML that is signed and encrypted
	Body []byte // replaces the HTTP body altogether

	Mode     string        // default the account's
	Attempts int           // default the account's
	Timeout  time.Duration // default the account's
	// LoseAnswers is how many attempts lose their answer on the way: the server writes it,
	// WeChat never gets it and takes it for a timeout, at once.
	LoseAnswers int
	Forge       Forgery
}

// Forgery makes a push that did not come from WeChat, or is damaged.
type Forgery struct {
	NoSignature  bool          `json:"no_signature"`  // no signature parameters at all
	Signature    bool          `json:"signature"`     // a wrong `signature`
	MsgSignature bool          `json:"msg_signature"` // a wrong `msg_signature`
	AppID        string        `json:"app_id"`        // encrypted for this AppID
	BadPad       bool          `json:"bad_pad"`       // padding that cannot be
	Cut          bool          `json:"cut"`           // half a cipher text
	Plain        bool          `json:"plain"`         // a plaintext push, whatever the mode
	Age          time.Duration `json:"-"`             // signed this long ago
}

type wcGrantKind int

const (
	wcGrantNone wcGrantKind = iota
	wcGrantMessage
	wcGrantAction
)

// grant tells what allowance the push opens.
func (p *SimPush) grant() wcGrantKind {
	if p.MsgType != "event" {
		return wcGrantMessage
	}
	switch p.Event {
	case "CLICK", "scancode_push", "scancode_waitmsg", "subscribe", "SCAN":
		return wcGrantAction
	}
	return wcGrantNone
}

// key is the same for every attempt and every duplicate of a push.
func (p *SimPush) key() string {
	if p.MsgType != "event" {
		return p.MsgID
	}
	return strconv.FormatInt(p.CreateTime, 10) + "\x00" + p.Event + "\x00" + p.Key
}

// xml is the plaintext body without the closing tag, which compatible mode still adds to.
func (p *SimPush) xml(account string) string {
	var b strings.Builder
	b.Grow(320 + len(p.Inner))
	b.WriteString("<xml>")
	b.WriteString(wcElem("ToUserName", cmp.Or(p.To, account)))
	b.WriteString(wcElem("FromUserName", p.OpenID))
	b.WriteString("<CreateTime>" + strconv.FormatInt(p.CreateTime, 10) + "</CreateTime>")
	b.WriteString(wcElem("MsgType", p.MsgType))
	if p.MsgType == "event" {
		b.WriteString(wcElem("Event", p.Event))
		if p.Key != "" || p.Event == "unsubscribe" || p.Event == "CLICK" {
			b.WriteString(wcElem("EventKey", p.Key))
		}
	}
	b.WriteString(p.Inner)
	if p.MsgID != "" {
		b.WriteString("<MsgId>" + p.MsgID + "</MsgId>")
	}
	return b.String()
}

// Message makes a message of any type. inner is the XML of its own elements.
func (w *WeChat) Message(openid, msgType, inner string) SimPush {
	return SimPush{
		OpenID: openid, MsgType: msgType, Inner: inner, CreateTime: w.cfg.Now().Unix(),
		MsgID: strconv.FormatInt(w.nextMsg.Add(1), 10),
	}
}

// Text is a text message.
func (w *WeChat) Text(openid, content string) SimPush {
	return w.Message(openid, "text", wcElem("Content", content))
}

// MenuTap is the text message WeChat makes of a tap on a bizmsgmenu link or a msgmenu item.
func (w *WeChat) MenuTap(openid, id, content string) SimPush {
	p := w.Text(openid, content)
	p.Inner += wcElem("bizmsgmenuid", id)
	return p
}

// Sticker is what reaches a server when a user sends a sticker.
func (w *WeChat) Sticker(openid string) SimPush {
	return w.Text(openid, "【收到不支持的消息类型，暂无法显示】")
}

// Image is a picture message. Its small PNG, another one for every call, is hosted at
// PicUrl and can be had by its MediaId.
func (w *WeChat) Image(openid string) SimPush {
	return w.ImageOf(openid, wcPicture(w.nextMsg.Add(1)))
}

// ImageOf is a picture message with the given file.
func (w *WeChat) ImageOf(openid string, file []byte) SimPush {
	m := w.keepMedia("image", "picture", file)
	return w.Message(openid, "image", wcElem("PicUrl", w.picURL(m))+wcElem("MediaId", m.ID))
}

// Voice is a voice message: half a second of silence, in AMR.
func (w *WeChat) Voice(openid string) SimPush {
	m := w.keepMedia("voice", "voice.amr", wcSilence(25))
	hd := w.keepMedia("voice", "voice16k.amr", wcSilence(25))
	return w.Message(openid, "voice",
		wcElem("MediaId", m.ID)+wcElem("Format", "amr")+wcElem("MediaId16K", hd.ID))
}

// VoiceOf is a voice message with the given file, which WeChat's clients would make AMR.
func (w *WeChat) VoiceOf(openid string, file []byte) SimPush {
	contentType, _ := wcSniff(file)
	_, format, _ := strings.Cut(contentType, "/")
	m := w.keepMedia("voice", "voice."+format, file)
	return w.Message(openid, "voice", wcElem("MediaId", m.ID)+wcElem("Format", format))
}

// Video is a video message.
func (w *WeChat) Video(openid string) SimPush { return w.film(openid, "video", wcFilm()) }

// VideoOf is a video message with the given file.
func (w *WeChat) VideoOf(openid string, file []byte) SimPush { return w.film(openid, "video", file) }

// ShortVideo is a short video message.
func (w *WeChat) ShortVideo(openid string) SimPush { return w.film(openid, "shortvideo", wcFilm()) }

func (w *WeChat) film(openid, msgType string, file []byte) SimPush {
	m := w.keepMedia("video", "video.mp4", file)
	thumb := w.keepMedia("thumb", "thumb.jpg", wcThumb())
	return w.Message(openid, msgType, wcElem("MediaId", m.ID)+wcElem("ThumbMediaId", thumb.ID))
}

// Location is a location message.
func (w *WeChat) Location(openid string, lat, lng float64, label string) SimPush {
	return w.Message(openid, "location",
		"<Location_X>"+wcFloat(lat)+"</Location_X><Location_Y>"+wcFloat(lng)+"</Location_Y><Scale>16</Scale>"+
			wcElem("Label", label))
}

// Link is a shared article.
func (w *WeChat) Link(openid, title, description, url string) SimPush {
	return w.Message(openid, "link", wcElem("Title", title)+wcElem("Description", description)+wcElem("Url", url))
}

// Event is an event with its key ("" for none): subscribe, unsubscribe, CLICK, VIEW, ...
// Elements that some events carry besides go into Inner; scancode_* and VIEW get theirs here.
func (w *WeChat) Event(openid, event, key string) SimPush {
	p := SimPush{OpenID: openid, MsgType: "event", Event: event, Key: key, CreateTime: w.cfg.Now().Unix()}
	switch event {
	case "VIEW", "view_miniprogram":
		p.Inner = "<MenuId>410000001</MenuId>"
	case "scancode_push", "scancode_waitmsg":
		p.Inner = "<ScanCodeInfo>" + wcElem("ScanType", "qrcode") + wcElem("ScanResult", "abc") + "</ScanCodeInfo>"
	}
	return p
}

// LocationReport is the LOCATION event that accounts get on entering the chat or every 5 s.
func (w *WeChat) LocationReport(openid string, lat, lng float64) SimPush {
	p := w.Event(openid, "LOCATION", "")
	p.Inner = "<Latitude>" + wcFloat(lat) + "</Latitude><Longitude>" + wcFloat(lng) +
		"</Longitude><Precision>30.0</Precision>"
	return p
}

func wcFloat(f float64) string { return strconv.FormatFloat(f, 'f', 6, 64) }

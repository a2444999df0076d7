package simulator

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

// Pushed is something a user did, whatever comes of it.
type Pushed struct {
	Push  int64  `json:"push"` // serial number of the delivery
	Key   string `json:"key"`  // the same for duplicates
	Type  string `json:"type"`
	Event string `json:"event,omitempty"`
	MsgID string `json:"msgid,omitempty"`
	XML   string `json:"xml"` // decrypted
	// Fields are the elements of the XML by name; of those inside others only the text.
	Fields map[string]string `json:"fields"`
}

// PushRequest is an attempt on its way.
type PushRequest struct {
	Push    int64  `json:"push"`
	Attempt int    `json:"attempt"` // 1, 2, 3
	Method  string `json:"method"`
	URL     string `json:"url"`
	Body    string `json:"body"` // as sent
}

// PushAnswer is what became of an attempt.
type PushAnswer struct {
	Push    int64   `json:"push"`
	Attempt int     `json:"attempt"`
	Answer  Attempt `json:"answer"`
	Plain   string  `json:"plain,omitempty"` // a valid reply, decrypted
}

// PushEnd is what became of a push.
type PushEnd struct {
	Push    int64  `json:"push"`
	Outcome string `json:"outcome"`
	Notice  bool   `json:"notice,omitempty"` // the user saw the failure notice
}

// Article is one article of a news message.
type Article struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	PicURL      string `json:"picurl"`
	URL         string `json:"url"`
}

// SeenEvent is a Seen with its parts taken out of Raw.
type SeenEvent struct {
	Seen
	Articles []Article       `json:"articles,omitempty"` // news
	Menu     json.RawMessage `json:"menu,omitempty"`     // msgmenu: as sent
}

// Happenings gives what is newer than seq, the oldest first, and a channel that is closed
// by what happens next.
func (w *WeChat) Happenings(seq int64) ([]Happening, <-chan struct{}) { return w.feed.after(seq) }

// serveEvents is GET events of the control API.
func (w *WeChat) serveEvents(rw http.ResponseWriter, r *http.Request) {
	w.feed.serve(rw, r, w.ctx.Done())
}

// tellPush begins a delivery, and returns its number.
func (w *WeChat) tellPush(p *SimPush) int64 {
	if w.feed == nil {
		return 0
	}
	in := Pushed{
		Push: w.serial.Add(1), Key: p.key(), Type: p.MsgType, Event: p.Event, MsgID: p.MsgID,
		XML: p.xml(w.settings.Load().account) + "</xml>",
	}
	if p.Raw != nil {
		in.XML = string(p.Raw)
	}
	if root, err := parseWcXML([]byte(in.XML)); err == nil {
		in.Fields = root.flat()
	}
	w.feed.add("push", p.OpenID, in)
	return in.Push
}

// tellRequest tells of an attempt that begins; n counts from 0.
func (w *WeChat) tellRequest(p *SimPush, push int64, n int, method, url, body string) {
	if w.feed != nil {
		w.feed.add("request", p.OpenID, PushRequest{push, n + 1, method, url, body})
	}
}

func (w *WeChat) tellAnswer(p *SimPush, push int64, n int, a Attempt, reply *Seen) {
	if w.feed == nil {
		return
	}
	e := PushAnswer{Push: push, Attempt: n + 1, Answer: a}
	if e.Answer.Body = a.Body[:min(len(a.Body), wcKeepBody)]; reply != nil {
		e.Plain = reply.Raw
	}
	w.feed.add("answer", p.OpenID, e)
}

func (w *WeChat) tellEnd(p *SimPush, push int64, d Delivery) {
	w.feed.add("delivery", p.OpenID, PushEnd{push, d.Outcome, d.Notice})
}

func (w *WeChat) tellSeen(openid string, s Seen) {
	if w.feed == nil {
		return
	}
	e := SeenEvent{Seen: s}
	switch s.Type {
	case "news":
		e.Articles = articlesOf(s)
	case "msgmenu":
		e.Menu = wcJSON(s.Object(), "")
	}
	w.feed.add("seen", openid, e)
}

func (w *WeChat) tellTyping(openid string, d time.Duration) {
	w.feed.add("typing", openid, map[string]any{"on": d > 0, "seconds": d.Seconds()})
}

func (w *WeChat) tellMenu() {
	if w.feed != nil {
		w.feed.add("menu", "", w.Menu())
	}
}

func (w *WeChat) tellState() {
	if w.feed != nil {
		w.feed.add("state", "", w.State())
	}
}

// tellCall tells of an API call; what was answered is only known if somebody listened.
func (w *WeChat) tellCall(o *overheard, r *http.Request, c *Call) {
	if o == nil {
		return
	}
	e := o.event(r)
	e.Code, e.Fault = c.Code, c.Fault
	w.feed.add("call", c.OpenID, e)
}

// articlesOf takes the articles out of a news message, by either road.
func articlesOf(s Seen) []Article {
	var list []Article
	if s.Road == RoadPush {
		for _, v := range wcObject(s.Object()).list("articles") {
			m, _ := v.(map[string]any)
			o := wcObject(m)
			list = append(list, Article{o.str("title"), o.str("description"), o.str("picurl"), o.str("url")})
		}
		return list
	}
	root, err := parseWcXML([]byte(s.Raw))
	if err != nil || root.child("Articles") == nil {
		return nil
	}
	for _, item := range root.child("Articles").kids {
		f := item.flat()
		list = append(list, Article{f["Title"], f["Description"], f["PicUrl"], f["Url"]})
	}
	return list
}

// flat gives the texts of the elements inside, by name, at any depth.
func (n *wcNode) flat() map[string]string {
	out := map[string]string{}
	for _, k := range n.kids {
		if len(k.kids) == 0 {
			out[k.name] = k.text
			continue
		}
		maps.Copy(out, k.flat())
	}
	return out
}

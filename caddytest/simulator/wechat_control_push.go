package simulator

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// wcPushInput is what POST /control/wechat/push takes. Only openid is required; a type
// that is not given is "event" if there is an event, else "text".
type wcPushInput struct {
	OpenID string `json:"openid"`
	Type   string `json:"type"`

	Text        string  `json:"text"`         // text
	MenuID      string  `json:"menuid"`       // text: the id of the tapped item
	Event       string  `json:"event"`        // event
	Key         string  `json:"key"`          // event: EventKey
	Ticket      string  `json:"ticket"`       // scan: of a QR code made through the API
	Lat         float64 `json:"lat"`          // location
	Lng         float64 `json:"lng"`          // location
	Label       string  `json:"label"`        // location
	Title       string  `json:"title"`        // link
	Description string  `json:"description"`  // link
	URL         string  `json:"url"`          // link
	File        []byte  `json:"file"`         // image, voice, video, shortvideo: the file in base64; without it a small one
	Inner       string  `json:"inner"`        // XML of further elements
	Raw         string  `json:"raw"`          // the whole XML instead
	Body        string  `json:"body"`         // the whole HTTP body instead
	MsgID       string  `json:"msgid"`        // instead of a new one
	CreateTime  int64   `json:"create_time"`  // instead of now
	Mode        string  `json:"mode"`         // instead of the account's
	Attempts    int     `json:"attempts"`     // instead of the account's
	Lose        int     `json:"lose_answers"` // attempts whose answer gets lost
	Duplicates  int     `json:"duplicates"`   // sent this many times more, at the same moment
	Forge       Forgery `json:"forge"`        // not from WeChat, or damaged

	Age wcSpan `json:"age"` // signed this long ago: "10m", or seconds

	Wait bool `json:"wait"` // answer when the delivery is over, with what became of it
}

// pushOf makes the push the input describes.
func (w *WeChat) pushOf(in *wcPushInput) (SimPush, error) {
	var p SimPush
	if in.OpenID == "" {
		return p, wcBad("openid is missing")
	}
	switch in.Type {
	case "":
		if in.Type = "text"; in.Event != "" {
			in.Type = "event"
		}
		return w.pushOf(in)
	case "text":
		if p = w.Text(in.OpenID, in.Text); in.MenuID != "" {
			p = w.MenuTap(in.OpenID, in.MenuID, in.Text)
		}
	case "sticker":
		p = w.Sticker(in.OpenID)
	case "image":
		if p = w.Image(in.OpenID); in.File != nil {
			p = w.ImageOf(in.OpenID, in.File)
		}
	case "voice":
		if p = w.Voice(in.OpenID); in.File != nil {
			p = w.VoiceOf(in.OpenID, in.File)
		}
	case "video", "shortvideo":
		if p = w.film(in.OpenID, in.Type, wcFilm()); in.File != nil {
			p = w.film(in.OpenID, in.Type, in.File)
		}
	case "location":
		p = w.Location(in.OpenID, in.Lat, in.Lng, in.Label)
	case "link":
		p = w.Link(in.OpenID, in.Title, in.Description, in.URL)
	case "event":
		if in.Event == "" {
			return p, wcBad("event is missing")
		}
		if p = w.Event(in.OpenID, in.Event, in.Key); in.Event == "LOCATION" {
			p = w.LocationReport(in.OpenID, in.Lat, in.Lng)
		}
	case "scan":
		var ok bool
		if p, ok = w.Scan(in.OpenID, in.Ticket); !ok {
			return p, wcBad("no QR code with that ticket")
		}
	default:
		p = w.Message(in.OpenID, in.Type, "")
	}
	in.override(&p)
	return p, nil
}

func (in *wcPushInput) override(p *SimPush) {
	p.Inner += in.Inner
	p.Mode, p.Attempts, p.LoseAnswers, p.Forge = in.Mode, in.Attempts, in.Lose, in.Forge
	p.Forge.Age = time.Duration(in.Age)
	if in.MsgID != "" {
		p.MsgID = in.MsgID
	}
	if in.CreateTime != 0 {
		p.CreateTime = in.CreateTime
	}
	if in.Raw != "" {
		p.Raw = []byte(in.Raw)
	}
	if in.Body != "" {
		p.Body = []byte(in.Body)
	}
}

// wcMaxAsync bounds the pushes of the control API that are under way and nobody waits for.
const wcMaxAsync = 1000

func (w *WeChat) controlPush(r *http.Request) (any, error) {
	var in wcPushInput
	if err := wcInput(r, &in); err != nil {
		return nil, err
	}
	if strings.Trim(in.MsgID, "0123456789") != "" {
		return nil, wcBad("msgid is not a number")
	}
	if in.Duplicates < 0 || in.Duplicates > 100 {
		return nil, wcBad("duplicates is not in 0..100")
	}
	p, err := w.pushOf(&in)
	if err != nil {
		return nil, err
	}
	send := func(ctx context.Context) any {
		if in.Duplicates > 0 {
			return w.PushConcurrent(ctx, p, in.Duplicates+1)
		}
		return w.Push(ctx, p)
	}
	if in.Wait {
		return send(r.Context()), nil
	}
	select {
	case w.async <- struct{}{}:
	default:
		return nil, wcBad("%d pushes are under way", wcMaxAsync)
	}
	// Before the answer, so that a wait that follows waits for what comes after this push.
	w.acted(&p)
	if !w.spawn(func() {
		defer func() { <-w.async }()
		send(w.ctx)
	}) {
		return nil, wcBad("the simulator is closed")
	}
	return map[string]any{"sent": true, "openid": p.OpenID, "type": p.MsgType, "event": p.Event, "msgid": p.MsgID}, nil
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Lines prints a text of several lines.
func (o *Out) Lines(text string) {
	for line := range strings.Lines(text) {
		o.Line(Clean(strings.TrimRight(line, "\r\n")))
	}
}

// Send sends a text to a user. It is false if the message was taken and is not at
// the user yet.
func Send(ctx context.Context, a *Admin, out *Out, o Options, text string) (sent bool, err error) {
	body := map[string]string{"openid": o.User, "text": text}
	if o.Account != "" {
		body["app_id"] = o.Account
	}
	var raw json.RawMessage
	if err := a.Post(ctx, "/wechat/send", body, &raw); err != nil {
		return false, err
	}
	var said struct {
		Outcome string `json:"outcome"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return false, fmt.Errorf("reading what Caddy answers: %w", err)
	}
	if out.JSON {
		return said.Outcome == "sent", out.Document(raw)
	}
	switch said.Outcome {
	case "sent":
		out.Line(out.Paint(Good, "Sent."))
	case "parked":
		out.Line(out.Paint(Warn, "Not sent: WeChat takes no more until the user acts."), " The message is parked and goes out then.")
	case "dead":
		out.Line(out.Paint(Bad, "Not sent: WeChat does not take it."), " Why: caddy wechat dead list")
	default:
		out.Line(out.Paint(Warn, "Not sent yet."), " The message waits in the journal, and is tried again. Why: caddy wechat doctor")
	}
	return said.Outcome == "sent", nil
}

// Menu gets the menu, sets it, or deletes it, by the method. What it prints can be
// set again.
func Menu(ctx context.Context, a *Admin, out *Out, o Options, method string, menu json.RawMessage) error {
	var answer struct {
		Menu json.RawMessage `json:"menu"`
	}
	var body any
	if menu != nil {
		body = menu
	}
	if err := a.Call(ctx, method, "/wechat/menu", Options{Account: o.Account}.query(), body, &answer); err != nil {
		return err
	}
	none := len(answer.Menu) == 0 || string(answer.Menu) == "null"
	switch {
	case out.JSON || method == http.MethodGet && !none:
		return out.Document(answer.Menu)
	case method == http.MethodGet:
		out.Line("There is no menu that was set by the API.")
	case method == http.MethodDelete:
		out.Line("Menu deleted.")
	default:
		out.Line(out.Paint(Good, "Menu set."), " Users see it when they follow anew, or within a day.")
	}
	return nil
}

// QRCode makes a QR code for a scene. Zero is for good.
func QRCode(ctx context.Context, a *Admin, out *Out, o Options, scene string, life time.Duration) error {
	body := map[string]any{"scene": scene, "seconds": int64(life / time.Second)}
	if o.Account != "" {
		body["app_id"] = o.Account
	}
	var raw json.RawMessage
	if err := a.Post(ctx, "/wechat/qrcode", body, &raw); err != nil {
		return err
	}
	if out.JSON {
		return out.Document(raw)
	}
	var q struct {
		Ticket  string `json:"ticket"`
		URL     string `json:"url"`
		Image   string `json:"image"`
		Seconds int64  `json:"seconds"`
	}
	if err := json.Unmarshal(raw, &q); err != nil {
		return fmt.Errorf("reading what Caddy answers: %w", err)
	}
	out.Line("picture  ", Clean(q.Image))
	out.Line("content  ", Clean(q.URL))
	works := "for good"
	if q.Seconds > 0 {
		works = "for " + Span(time.Duration(q.Seconds)*time.Second)
	}
	out.Line("works    ", works)
	return nil
}

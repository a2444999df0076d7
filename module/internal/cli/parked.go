package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Parked prints the replies that wait until their user acts.
func Parked(ctx context.Context, a *Admin, out *Out, o Options) error {
	var raw json.RawMessage
	if err := a.Get(ctx, "/wechat/parked", o.query(), &raw); err != nil {
		return err
	}
	if out.JSON {
		return out.Document(raw)
	}
	var all struct {
		Parked []struct {
			OpenID    string    `json:"openid"`
			ID        int64     `json:"id"`
			MessageID string    `json:"message_id"`
			Kind      string    `json:"kind"`
			Parts     int64     `json:"parts_sent"`
			Created   time.Time `json:"created_at"`
			Expires   time.Time `json:"expires_at"`
		} `json:"parked"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("reading what Caddy answers: %w", err)
	}
	if len(all.Parked) == 0 {
		out.Line("No parked replies.")
		return nil
	}
	var rows [][]Cell
	now := o.now()
	for _, p := range all.Parked {
		left := Cell{Text: "in " + Span(p.Expires.Sub(now))}
		switch d := p.Expires.Sub(now); {
		case p.Expires.IsZero():
			left.Text = ""
		case d <= 0:
			left = Cell{"now", Bad}
		case d < 4*time.Hour:
			left.Style = Warn
		}
		rows = append(rows, append(Cells(p.OpenID, strconv.FormatInt(p.ID, 10), p.Kind, strconv.FormatInt(p.Parts, 10), Ago(p.Created, now)), left))
	}
	out.Table([]string{"USER", "ID", "KIND", "SENT", "SAID", "EXPIRES"}, rows)
	return nil
}

// ParkedDo delivers or drops a user's parked replies.
func ParkedDo(ctx context.Context, a *Admin, out *Out, o Options, do Do) error {
	body := map[string]any{"openid": o.User}
	if o.Account != "" {
		body["app_id"] = o.Account
	}
	said := map[Do]string{Deliver: "put back into the queue", Drop: "dropped"}[do]
	return done(ctx, a, out, "/wechat/parked/"+string(do), body, "parked reply", "parked replies", said)
}

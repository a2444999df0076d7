package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// letter is a dead letter.
type letter struct {
	ID     int64     `json:"id"`
	AppID  string    `json:"app_id"`
	OpenID string    `json:"openid"`
	Kind   string    `json:"kind"`
	Ref    string    `json:"ref"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Size   int64     `json:"size"`
	Body   []byte    `json:"body"`
}

// DeadList prints the dead letters.
func DeadList(ctx context.Context, a *Admin, out *Out, o Options) error {
	var raw json.RawMessage
	if err := a.Get(ctx, "/wechat/dead", o.query(), &raw); err != nil {
		return err
	}
	if out.JSON {
		return out.Document(raw)
	}
	var all struct {
		Dead []letter `json:"dead"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("reading what Caddy answers: %w", err)
	}
	if len(all.Dead) == 0 {
		out.Line("No dead letters.")
		return nil
	}
	var rows [][]Cell
	for _, d := range all.Dead {
		rows = append(rows, Cells(strconv.FormatInt(d.ID, 10), Ago(d.At, o.now()), d.Kind, d.OpenID, Size(d.Size), d.Reason))
	}
	out.Table([]string{"ID", "SINCE", "KIND", "USER", "SIZE", "REASON"}, rows)
	if o.Limit > 0 && len(all.Dead) == o.Limit {
		out.Line(out.Paint(Faint, fmt.Sprintf("There may be more: --after %d", all.Dead[len(all.Dead)-1].ID)))
	}
	return nil
}

// DeadShow prints one dead letter, with what is in it.
func DeadShow(ctx context.Context, a *Admin, out *Out, o Options, id int64) error {
	var raw json.RawMessage
	q := url.Values{}
	if o.Account != "" {
		q.Set("app_id", o.Account)
	}
	if err := a.Get(ctx, "/wechat/dead/"+strconv.FormatInt(id, 10), q, &raw); err != nil {
		return err
	}
	if out.JSON {
		return out.Document(raw)
	}
	var d letter
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading what Caddy answers: %w", err)
	}
	row := func(name, value string) { out.Line(out.Paint(Bold, fmt.Sprintf("%-8s", name)), Clean(value)) }
	row("id", strconv.FormatInt(d.ID, 10))
	row("account", d.AppID)
	row("user", d.OpenID)
	row("kind", d.Kind)
	row("ref", d.Ref)
	row("since", d.At.Format(time.RFC3339)+" ("+Ago(d.At, o.now())+")")
	row("reason", d.Reason)
	row("body", Size(int64(len(d.Body))))
	out.Line()
	if !utf8.Valid(d.Body) {
		out.Line(fmt.Sprintf("%q", d.Body))
		return nil
	}
	out.Lines(string(d.Body))
	return nil
}

// Do is what becomes of dead letters or parked replies.
type Do string

// The deeds.
const (
	Replay  Do = "replay"
	Drop    Do = "drop"
	Deliver Do = "deliver"
)

// DeadDo replays or drops dead letters: those with the ids, or all.
func DeadDo(ctx context.Context, a *Admin, out *Out, o Options, do Do, ids []int64, all bool) error {
	body := map[string]any{}
	if o.Account != "" {
		body["app_id"] = o.Account
	}
	if all {
		body["all"] = true
	} else {
		body["ids"] = ids
	}
	said := map[Do]string{Replay: "replayed", Drop: "dropped"}[do]
	return done(ctx, a, out, "/wechat/dead/"+string(do), body, "dead letter", "dead letters", said)
}

// done asks for a deed and prints how many it was done to.
func done(ctx context.Context, a *Admin, out *Out, path string, body map[string]any, one, many, said string) error {
	var raw json.RawMessage
	if err := a.Post(ctx, path, body, &raw); err != nil {
		return err
	}
	if out.JSON {
		return out.Document(raw)
	}
	var n struct {
		Count int64 `json:"count"`
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return fmt.Errorf("reading what Caddy answers: %w", err)
	}
	what := plural(n.Count, one, many)
	out.Line(strings.ToUpper(what[:1]), what[1:], " ", said, ".")
	return nil
}

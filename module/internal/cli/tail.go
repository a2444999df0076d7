package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxEvent bounds one event of the trace, in bytes.
const maxEvent = 1 << 20

// Tail prints decisions as they are made, until the context or the stream ends.
// With past, those that Caddy still knows come first.
func Tail(ctx context.Context, a *Admin, out *Out, o Options, past bool) error {
	q := o.query()
	if past {
		q.Set("since", "0")
	}
	err := a.stream(ctx, "/wechat/trace", q, func(kind string, data []byte) error {
		return out.event(kind, data)
	})
	if ctx.Err() != nil {
		return nil // whoever watched has seen enough
	}
	return err
}

// stream reads server-sent events. That they end is an error.
func (a *Admin) stream(ctx context.Context, path string, q url.Values, each func(kind string, data []byte) error) error {
	resp, err := a.do(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	var kind string
	var data []byte
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if data != nil {
				if err := each(kind, bytes.TrimSuffix(data, []byte("\n"))); err != nil {
					return err
				}
			}
			kind, data = "", nil
		case name == "event":
			kind = value
		case name == "data":
			if data = append(append(data, value...), '\n'); len(data) > maxEvent {
				return errors.New("reading the trace: an event is too long")
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the trace: %w", err)
	}
	return fmt.Errorf("reading the trace: Caddy has ended it: %w", io.EOF)
}

// decision is what the bridge decided about one thing.
type decision struct {
	Time      time.Time `json:"time"`
	AppID     string    `json:"app_id"`
	OpenID    string    `json:"openid"`
	Stage     string    `json:"stage"`
	Outcome   string    `json:"outcome"`
	Push      string    `json:"push"`
	MessageID string    `json:"message_id"`
	Kind      string    `json:"kind"`
	Attempt   int       `json:"attempt"`
	Road      string    `json:"road"`
	Reason    string    `json:"reason"`
	Code      int       `json:"code"`
	Took      float64   `json:"took"`
	Allowance *int      `json:"allowance_left"`
	Side      string    `json:"side"`
	Error     string    `json:"error"`
}

// event prints one event of the trace.
func (o *Out) event(kind string, data []byte) error {
	if o.JSON {
		if kind != "decision" && kind != "" {
			data = fmt.Appendf(nil, `{"event":%q,"data":%s}`, kind, data)
		}
		var line bytes.Buffer
		if err := json.Compact(&line, data); err != nil {
			return fmt.Errorf("reading the trace: %w", err)
		}
		o.Line(line.String())
		return nil
	}
	if kind == "lost" {
		var lost struct {
			Count int64 `json:"count"`
		}
		_ = json.Unmarshal(data, &lost)
		o.Line(o.Paint(Warn, fmt.Sprintf("... %d decisions lost: this reader is too slow", lost.Count)))
		return nil
	}
	var d decision
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("reading the trace: %w", err)
	}
	o.Line(o.Paint(Faint, d.Time.Local().Format("15:04:05.000")), " ", fmt.Sprintf("%-28s ", Clean(d.OpenID)),
		o.Paint(outcomeStyle(d), fmt.Sprintf("%-7s %-10s", Clean(d.Stage), Clean(d.Outcome))), o.Paint(Plain, d.details()))
	return nil
}

func outcomeStyle(d decision) Style {
	switch d.Outcome {
	case "failed", "refused", "dead", "held", "lost":
		return Bad
	case "retry", "doubtful", "silent", "passive_only", "duplicate":
		return Warn
	case "ok", "delivered", "answered", "released", "taken":
		return Good
	}
	return Plain
}

// details are what applies of the rest.
func (d decision) details() string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" && value != "0" {
			b.WriteString(" " + name + "=" + Clean(value))
		}
	}
	if d.Road != "" && d.Road != d.Outcome {
		b.WriteString(" " + Clean(d.Road))
	}
	add("kind", d.Kind)
	add("push", d.Push)
	add("message", d.MessageID)
	add("side", d.Side)
	if d.Attempt > 1 {
		add("attempt", fmt.Sprint(d.Attempt))
	}
	add("code", fmt.Sprint(d.Code))
	if d.Took > 0 {
		name := "took"
		if d.Stage == "plan" { // nothing took time: it is how long it waits
			name = "in"
		}
		add(name, time.Duration(d.Took*float64(time.Second)).Round(10*time.Microsecond).String())
	}
	if d.Allowance != nil {
		fmt.Fprintf(&b, " left=%d", *d.Allowance)
	}
	if d.Reason != "" {
		b.WriteString(" (" + Clean(d.Reason) + ")")
	}
	if d.Error != "" {
		b.WriteString(": " + Clean(d.Error))
	}
	return b.String()
}

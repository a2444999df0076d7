package simulator

// The control API of the Botpress side. Everything is JSON, durations are strings such as "1.5s".
//
//	GET    /control/botpress/state                 what State gives
//	GET    /control/botpress/conversations         ids, oldest first
//	GET    /control/botpress/turns?conversation=   what users sent; all conversations without the parameter.
//	                                               &count=2&wait=10s waits until there are two
//	GET    /control/botpress/messages?conversation=   both directions; count and wait as above
//	GET    /control/botpress/user?id=              a user with its profile
//	GET    /control/botpress/events?since=         all that happens, as server-sent events; see Happening
//	GET    /control/botpress/webhooks              the last webhook calls
//	POST   /control/botpress/say                   {"conversation","text"|"payload","createdAt","silent","metadata"} -> {"id"}
//	POST   /control/botpress/faults                the fields of BotpressFault, lower-case first letter
//	POST   /control/botpress/webhook/faults        the fields of WebhookFault, likewise
//	DELETE /control/botpress/faults                ends all faults
//	POST   /control/botpress/webhook               {"url","secret"}; a field left out is made empty
//	POST   /control/botpress/down                  {"down":true|false}
//	POST   /control/botpress/think                 {"time":"8s"}: passes before the bot sees a turn
//	POST   /control/botpress/streams               {"drop":true,"conversation"} and, or, {"silent":true|false}
//	POST   /control/botpress/forget                {"id"}: the user and conversation of that id are lost
//	POST   /control/botpress/reset                 as Reset
//
// Answers are pretty-printed, raw UTF-8; errors are {"error"} under 400 or 404.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// bpDuration reads "1.5s".
type bpDuration time.Duration

func (d *bpDuration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = bpDuration(v)
	return err
}

var errBPNotFound = errors.New("no such conversation or user")

func (b *Botpress) controlHandler() http.Handler {
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(r *http.Request) (any, error){
		"GET state":           func(*http.Request) (any, error) { return b.State(), nil },
		"GET conversations":   func(*http.Request) (any, error) { return append([]string{}, b.Conversations()...), nil },
		"GET webhooks":        func(*http.Request) (any, error) { return append([]WebhookPost{}, b.Webhooks()...), nil },
		"GET turns":           b.controlTurns,
		"GET messages":        b.controlMessages,
		"GET user":            b.controlUser,
		"POST say":            b.controlSay,
		"POST faults":         b.controlFault,
		"DELETE faults":       func(*http.Request) (any, error) { b.ClearFaults(); return struct{}{}, nil },
		"POST webhook":        b.controlWebhook,
		"POST webhook/faults": b.controlWebhookFault,
		"POST down":           b.controlDown,
		"POST think":          b.controlThink,
		"POST streams":        b.controlStreams,
		"POST forget":         b.controlForget,
		"POST reset":          func(*http.Request) (any, error) { b.Reset(); return struct{}{}, nil },
	} {
		method, path, _ := bytes.Cut([]byte(pattern), []byte(" "))
		mux.HandleFunc(string(method)+" /control/botpress/"+string(path), func(w http.ResponseWriter, r *http.Request) {
			out, err := do(r)
			status := http.StatusOK
			switch {
			case errors.Is(err, errBPNotFound):
				status = http.StatusNotFound
			case err != nil:
				status = http.StatusBadRequest
			}
			if err != nil {
				out = map[string]string{"error": err.Error()}
			}
			if b.feed != nil && r.Method != http.MethodGet {
				b.feed.add("state", "", b.State())
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(status)
			_, _ = w.Write(bpPretty(out))
		})
	}
	mux.HandleFunc("GET /control/botpress/events", func(w http.ResponseWriter, r *http.Request) {
		b.feed.serve(w, r, b.ctx.Done())
	})
	return mux
}

func bpPretty(v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
	return buf.Bytes()
}

// bpControlBody reads a body strictly, so that a mistyped field is noticed.
func bpControlBody(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, bpMaxRequest))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// bpControlWait reads count and wait; without them nothing is waited for.
func bpControlWait(r *http.Request) (ctx context.Context, cancel context.CancelFunc, count int, err error) {
	q := r.URL.Query()
	if s := q.Get("count"); s != "" {
		if count, err = strconv.Atoi(s); err != nil {
			return nil, nil, 0, err
		}
	}
	wait := 10 * time.Second
	if s := q.Get("wait"); s != "" {
		if wait, err = time.ParseDuration(s); err != nil {
			return nil, nil, 0, err
		}
	}
	ctx, cancel = context.WithTimeout(r.Context(), wait)
	return ctx, cancel, count, nil
}

func (b *Botpress) controlTurns(r *http.Request) (any, error) {
	ctx, cancel, count, err := bpControlWait(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	turns, _ := b.WaitTurns(ctx, r.URL.Query().Get("conversation"), count)
	return append([]Turn{}, turns...), nil
}

func (b *Botpress) controlMessages(r *http.Request) (any, error) {
	ctx, cancel, count, err := bpControlWait(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	messages, _ := b.WaitMessages(ctx, r.URL.Query().Get("conversation"), count)
	return append([]BotpressMessage{}, messages...), nil
}

func (b *Botpress) controlUser(r *http.Request) (any, error) {
	u, ok := b.User(r.URL.Query().Get("id"))
	if !ok {
		return nil, errBPNotFound
	}
	return u, nil
}

func (b *Botpress) controlSay(r *http.Request) (any, error) {
	var in struct {
		Conversation string          `json:"conversation"`
		Text         string          `json:"text"`
		Payload      json.RawMessage `json:"payload"`
		CreatedAt    time.Time       `json:"createdAt"`
		Silent       bool            `json:"silent"`
		Metadata     map[string]any  `json:"metadata"`
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	var payload any = in.Text
	if in.Payload != nil {
		payload = in.Payload
	}
	opts := []SayOption{SayAt(in.CreatedAt)}
	if in.Silent {
		opts = append(opts, SaySilently())
	}
	if in.Metadata != nil {
		opts = append(opts, SayMetadata(in.Metadata))
	}
	id := b.Say(in.Conversation, payload, opts...)
	if id == "" {
		return nil, errBPNotFound
	}
	return map[string]string{"id": id}, nil
}

func (b *Botpress) controlFault(r *http.Request) (any, error) {
	var in struct {
		BotpressFault
		Delay, LateBy bpDuration
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	in.BotpressFault.Delay, in.BotpressFault.LateBy = time.Duration(in.Delay), time.Duration(in.LateBy)
	b.Fail(in.BotpressFault)
	return struct{}{}, nil
}

func (b *Botpress) controlWebhookFault(r *http.Request) (any, error) {
	var in struct {
		WebhookFault
		Delay bpDuration
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	in.WebhookFault.Delay = time.Duration(in.Delay)
	b.FailWebhook(in.WebhookFault)
	return struct{}{}, nil
}

func (b *Botpress) controlWebhook(r *http.Request) (any, error) {
	var in struct {
		URL    string `json:"url"`
		Secret string `json:"secret"`
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	b.SetWebhook(in.URL, in.Secret)
	return struct{}{}, nil
}

func (b *Botpress) controlDown(r *http.Request) (any, error) {
	var in struct {
		Down bool `json:"down"`
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	b.SetDown(in.Down)
	return struct{}{}, nil
}

func (b *Botpress) controlThink(r *http.Request) (any, error) {
	var in struct {
		Time bpDuration `json:"time"`
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	if in.Time < 0 {
		return nil, errors.New("time is negative")
	}
	b.SetThinkTime(time.Duration(in.Time))
	return struct{}{}, nil
}

func (b *Botpress) controlStreams(r *http.Request) (any, error) {
	var in struct {
		Drop         bool   `json:"drop"`
		Conversation string `json:"conversation"`
		Silent       *bool  `json:"silent"`
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	if in.Silent != nil {
		b.SilenceStreams(*in.Silent)
	}
	dropped := 0
	if in.Drop {
		dropped = b.DropStreams(in.Conversation)
	}
	return map[string]int{"dropped": dropped}, nil
}

func (b *Botpress) controlForget(r *http.Request) (any, error) {
	var in struct {
		ID string `json:"id"`
	}
	if err := bpControlBody(r, &in); err != nil {
		return nil, err
	}
	b.Forget(in.ID)
	return struct{}{}, nil
}

package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// wcSpan is a duration in JSON: "90s", or a number of seconds.
type wcSpan time.Duration

func (s *wcSpan) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case float64:
		*s = wcSpan(v * float64(time.Second))
	case string:
		d, err := time.ParseDuration(v)
		if err != nil {
			return err
		}
		*s = wcSpan(d)
	}
	return nil
}

// wcFaultInput is WeChatFault with a delay one can type.
type wcFaultInput struct {
	WeChatFault
	Delay wcSpan `json:"delay"`
}

func (w *WeChat) controlFaults(*http.Request) (any, error) { return w.Faults(), nil }

func (w *WeChat) controlFail(r *http.Request) (any, error) {
	var in wcFaultInput
	if err := wcInput(r, &in); err != nil {
		return nil, err
	}
	in.WeChatFault.Delay = time.Duration(in.Delay)
	w.Fail(in.WeChatFault)
	return w.Faults(), nil
}

func (w *WeChat) controlClearFaults(*http.Request) (any, error) {
	w.ClearFaults()
	return w.Faults(), nil
}

func (w *WeChat) controlDown(r *http.Request) (any, error) {
	var in struct {
		Down bool `json:"down"`
	}
	return w.set(r, &in, func() error { w.SetDown(in.Down); return nil })
}

func (w *WeChat) controlClock(r *http.Request) (any, error) {
	var in struct {
		Advance wcSpan `json:"advance"`
	}
	return w.set(r, &in, func() error { w.Advance(time.Duration(in.Advance)); return nil })
}

func (w *WeChat) controlMode(r *http.Request) (any, error) {
	var in struct {
		Mode string `json:"mode"`
	}
	return w.set(r, &in, func() error { return w.change(func(s *wcSettings) { s.mode = in.Mode }) })
}

func (w *WeChat) controlKind(r *http.Request) (any, error) {
	var in struct {
		Kind string `json:"kind"`
	}
	return w.set(r, &in, func() error { return w.change(func(s *wcSettings) { s.kind = in.Kind }) })
}

func (w *WeChat) controlSecret(r *http.Request) (any, error) {
	var in struct {
		Secret string `json:"secret"`
	}
	return w.set(r, &in, func() error { w.SetSecret(in.Secret); return nil })
}

func (w *WeChat) controlIPs(r *http.Request) (any, error) {
	var in struct {
		Allow    []string `json:"allow"`
		Callback []string `json:"callback"`
	}
	return w.set(r, &in, func() error {
		if in.Allow != nil || in.Callback == nil {
			w.SetAllowedIPs(in.Allow...)
		}
		if in.Callback != nil {
			w.SetCallbackIPs(in.Callback...)
		}
		return nil
	})
}

func (w *WeChat) controlTokens(r *http.Request) (any, error) {
	var in struct {
		End string `json:"end"`
	}
	return w.set(r, &in, func() error {
		switch in.End {
		case "expired":
			w.ExpireTokens()
		case "revoked":
			w.RevokeTokens()
		default:
			return wcBad("end is expired or revoked")
		}
		return nil
	})
}

func (w *WeChat) controlWindows(r *http.Request) (any, error) {
	var in struct {
		OpenID string `json:"openid"`
	}
	return w.set(r, &in, func() error { w.EndWindows(in.OpenID); return nil })
}

func (w *WeChat) controlMenu(r *http.Request) (any, error) {
	var raw json.RawMessage
	if err := wcInput(r, &raw); err != nil {
		return nil, err
	}
	var in wcObject
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, wcBad("reading the menu: %w", err)
	}
	if err := w.createMenu(in, raw); err != nil {
		return nil, wcBadControl{err}
	}
	return w.State(), nil
}

func (w *WeChat) controlNoMenu(*http.Request) (any, error) {
	w.setMenu(nil)
	return w.State(), nil
}

// set reads the body, applies it, and answers the state that came of it.
func (w *WeChat) set(r *http.Request, in any, apply func() error) (any, error) {
	if err := wcInput(r, in); err != nil {
		return nil, err
	}
	if err := apply(); err != nil {
		return nil, wcBadControl{err}
	}
	return w.controlState(r)
}

package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// wcError is an API error: HTTP status 200 and an errcode.
type wcError struct {
	code int
	msg  string
}

func (e *wcError) Error() string { return fmt.Sprintf("%d %s", e.code, e.msg) }

func wcFail(code int, msg string) error { return &wcError{code, msg} }

// wcRequest is an API call as its endpoint gets it.
type wcRequest struct {
	r      *http.Request
	q      url.Values
	body   []byte
	obj    wcObject // the body, if it is a JSON object
	openid string   // touser or openid; "" if there is none
	kind   string   // msgtype, or type of an upload
}

// wcFile is an answer that is not JSON.
type wcFile struct {
	contentType, name string
	data              []byte
}

type wcRoute struct {
	method string // the one that is taken
	open   bool   // needs no access token
	all    bool   // individual accounts have it too
	body   int64  // most bytes of the body; 0 = 1 MiB
	text   bool   // errors come as text/plain
	serve  func(*WeChat, *wcRequest) (any, error)
}

var wcRoutes = map[string]wcRoute{
	"/cgi-bin/token":                     {method: http.MethodGet, open: true, all: true, serve: (*WeChat).apiToken},
	"/cgi-bin/stable_token":              {method: http.MethodPost, open: true, all: true, serve: (*WeChat).apiStableToken},
	"/cgi-bin/message/custom/send":       {method: http.MethodPost, serve: (*WeChat).apiSend},
	"/cgi-bin/message/custom/typing":     {method: http.MethodPost, serve: (*WeChat).apiTyping},
	"/cgi-bin/media/upload":              {method: http.MethodPost, body: 32 << 20, serve: (*WeChat).apiUpload},
	"/cgi-bin/media/uploadimg":           {method: http.MethodPost, body: 32 << 20, serve: (*WeChat).apiUploadImage},
	"/cgi-bin/media/get":                 {method: http.MethodGet, text: true, serve: (*WeChat).apiMediaGet},
	"/cgi-bin/user/info":                 {method: http.MethodGet, serve: (*WeChat).apiUserInfo},
	"/cgi-bin/menu/create":               {method: http.MethodPost, serve: (*WeChat).apiMenuCreate},
	"/cgi-bin/menu/get":                  {method: http.MethodGet, serve: (*WeChat).apiMenuGet},
	"/cgi-bin/menu/delete":               {method: http.MethodGet, serve: (*WeChat).apiMenuDelete},
	"/cgi-bin/qrcode/create":             {method: http.MethodPost, serve: (*WeChat).apiQRCreate},
	"/cgi-bin/getcallbackip":             {method: http.MethodGet, all: true, serve: (*WeChat).apiCallbackIP},
	"/cgi-bin/get_api_domain_ip":         {method: http.MethodGet, all: true, serve: (*WeChat).apiDomainIP},
	"/cgi-bin/callback/check":            {method: http.MethodPost, all: true, serve: (*WeChat).apiCallbackCheck},
	"/cgi-bin/clear_quota":               {method: http.MethodPost, all: true, serve: (*WeChat).apiClearQuota},
	"/cgi-bin/openapi/quota/get":         {method: http.MethodPost, all: true, serve: (*WeChat).apiQuotaGet},
	"/cgi-bin/get_current_selfmenu_info": {method: http.MethodGet, all: true, serve: (*WeChat).apiSelfMenu},
}

// serveAPI serves everything below /cgi-bin/: faults first, then the checks every call
// goes through, then the endpoint.
func (w *WeChat) serveAPI(rw http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	w.ledger.count(path)
	var heard *overheard
	if w.feed != nil {
		heard = overhear(rw, r)
		rw = heard
	}
	call := Call{At: w.cfg.Now(), Method: r.Method, Path: path, Remote: wcRemoteIP(r)}
	start := time.Now()
	if w.settings.Load().down {
		w.tellCall(heard, r, &call)
		panic(http.ErrAbortHandler)
	}
	defer func() {
		call.Took = time.Since(start)
		w.tellCall(heard, r, &call)
		w.ledger.addCall(call)
	}()
	route := wcRoutes[path]
	rq, err := w.readCall(rw, r, route, &call)
	fault := w.faults.hit(path, rq.openid, rq.kind)
	if fault != nil {
		call.Fault = true
		w.delay(r, fault.Delay)
		if fault.decides() {
			w.answerFault(rw, fault, &call)
			return
		}
	}
	var out any
	if err == nil {
		out, err = w.dispatch(rq, route)
	}
	if fault != nil && fault.CutAfter {
		panic(http.ErrAbortHandler)
	}
	w.answer(rw, route, out, err, &call)
}

// readCall reads the body and finds out for whom the call is.
func (w *WeChat) readCall(rw http.ResponseWriter, r *http.Request, route wcRoute, call *Call) (*wcRequest, error) {
	rq := &wcRequest{r: r, q: r.URL.Query()}
	rq.openid, rq.kind = rq.q.Get("openid"), rq.q.Get("type")
	limit := route.body
	if limit == 0 {
		limit = 1 << 20
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, limit))
	if err != nil {
		return rq, wcFail(45001, "media size out of limit")
	}
	rq.body = body
	if route.body == 0 {
		call.Body = string(body[:min(len(body), wcKeepBody)])
		if len(body) > 0 && json.Unmarshal(body, &rq.obj) == nil && rq.obj.has("touser") {
			rq.openid, rq.kind = rq.obj.str("touser"), rq.obj.str("msgtype")
		}
	}
	call.OpenID = rq.openid
	return rq, nil
}

func (w *WeChat) dispatch(rq *wcRequest, route wcRoute) (any, error) {
	switch {
	case route.serve == nil:
		return nil, wcFail(40066, "invalid url")
	case route.method == http.MethodPost && rq.r.Method != http.MethodPost:
		return nil, wcFail(43002, "require POST method")
	case route.method == http.MethodGet && rq.r.Method != http.MethodGet:
		return nil, wcFail(43001, "require GET method")
	}
	if !route.open {
		if code := w.tokens.check(rq.q.Get("access_token"), w.now()); code != 0 {
			return nil, wcFail(code, map[int]string{
				41001: "access_token missing", 40014: "invalid access_token", 42001: "access_token expired",
				40001: "invalid credential, access_token is invalid or not latest",
			}[code])
		}
	}
	if !route.all && w.settings.Load().kind == KindIndividual {
		return nil, wcFail(48001, "api unauthorized")
	}
	return route.serve(w, rq)
}

// delay waits unless the caller goes away or the simulator closes.
func (w *WeChat) delay(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	case <-w.ctx.Done():
	}
}

func (w *WeChat) answerFault(rw http.ResponseWriter, f *WeChatFault, call *Call) {
	switch {
	case f.Cut:
		panic(http.ErrAbortHandler)
	case f.HTTPStatus != 0 || f.Body != "":
		if f.HTTPStatus != 0 {
			rw.WriteHeader(f.HTTPStatus)
		}
		_, _ = io.WriteString(rw, f.Body)
	default:
		msg := f.Msg
		if msg == "" {
			msg = "injected fault"
		}
		w.answer(rw, wcRoute{}, nil, wcFail(f.Code, msg), call)
	}
}

// answer writes what the API answers: always status 200.
func (w *WeChat) answer(rw http.ResponseWriter, route wcRoute, out any, err error, call *Call) {
	contentType := "application/json; encoding=utf-8"
	if e, ok := errors.AsType[*wcError](err); ok {
		call.Code = e.code
		out = struct {
			Code int    `json:"errcode"`
			Msg  string `json:"errmsg"`
		}{e.code, e.msg + " rid: " + wcRID()}
		if route.text {
			contentType = "text/plain"
		}
	}
	if f, ok := out.(wcFile); ok {
		rw.Header().Set("Content-Type", f.contentType)
		rw.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
		_, _ = rw.Write(f.data)
		return
	}
	rw.Header().Set("Content-Type", contentType)
	_, _ = rw.Write(wcJSON(out, ""))
}

// wcJSON writes raw UTF-8 without a newline at its end, as WeChat does.
func wcJSON(v any, indent string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return []byte(`{"errcode":-1,"errmsg":"system error"}`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func wcRID() string {
	return fmt.Sprintf("%08x-%08x-%08x", time.Now().Unix(), rand.Uint32(), rand.Uint32())
}

var wcOK = struct {
	Code int    `json:"errcode"`
	Msg  string `json:"errmsg"`
}{0, "ok"}

// wcEscapes tells whether a JSON text holds \uXXXX escapes.
func wcEscapes(body []byte) bool {
	for i := 0; i+1 < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++
		if body[i] == 'u' {
			return true
		}
	}
	return false
}

// object returns the JSON body by WeChat's rules: raw UTF-8, and escapes as configured.
func (w *WeChat) object(rq *wcRequest) (wcObject, error) {
	if len(rq.body) == 0 {
		return nil, wcFail(44002, "empty post data")
	}
	obj := rq.obj
	if wcEscapes(rq.body) {
		w.totals.escapes.Add(1)
		switch w.cfg.Escapes {
		case EscapesRefuse:
			return nil, wcFail(40033, "invalid charset. please check your request, if include \\uxxxx will create fail!")
		case EscapesLiteral:
			obj = nil
			_ = json.Unmarshal([]byte(wcLiteral(string(rq.body))), &obj)
		}
	}
	if obj == nil || !utf8.Valid(rq.body) {
		return nil, wcFail(47001, "data format error")
	}
	return obj, nil
}

// wcLiteral makes \uXXXX escapes into the six characters they are.
func wcLiteral(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if s[i+1] == 'u' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// wcObject is a decoded JSON object. Unlike a struct it tells names that differ in case apart.
type wcObject map[string]any

func (o wcObject) has(name string) bool { _, ok := o[name]; return ok }

func (o wcObject) str(name string) string { s, _ := o[name].(string); return s }

func (o wcObject) obj(name string) wcObject { m, _ := o[name].(map[string]any); return m }

func (o wcObject) list(name string) []any { l, _ := o[name].([]any); return l }

func (o wcObject) num(name string) (float64, bool) { f, ok := o[name].(float64); return f, ok }

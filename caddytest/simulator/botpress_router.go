package simulator

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	bpMaxRequest = 1 << 20   // request payload
	bpMaxStored  = 128 << 10 // stored message payload
)

// bpOp is one operation of the Chat API.
type bpOp struct {
	name    string // as in the API's specification; faults and counts go by it
	method  string
	path    string
	key     bool // needs x-user-key
	body    bool // needs a JSON object
	limited bool // counts towards the rate limit
	creates bool // 201 by the specification
	check   func(c *bpCall) *bpFailure
	run     func(b *Botpress, c *bpCall) (any, *bpFailure)
	segs    []string
}

// bpCall is one request.
type bpCall struct {
	op     *bpOp
	params [2]string
	token  string // nextToken
	raw    []byte
	body   bpFields
	caller string // user id in the key
	me     *bpUser
	in     bpInput
}

// bpInput is what validation took out of the body.
type bpInput struct {
	id                        *string
	name, pictureURL, profile *string
	target                    string // conversation or user named in the body
	payload, metadata         []byte
}

// bpAllOps is in the order of matching: literal segments before parameters.
func bpAllOps() []*bpOp {
	ops := slices.Concat(bpUserOps(), bpConversationOps(), bpMessageOps())
	for _, op := range ops {
		op.segs = strings.Split(op.path, "/")
	}
	return ops
}

// serveChat answers one call of the Chat API. down is closed when the cloud goes away meanwhile.
func (b *Botpress) serveChat(w http.ResponseWriter, r *http.Request, down <-chan struct{}) {
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK)
		return
	}
	// The router splits on "/" without decoding, and drops empty segments.
	segs := strings.FieldsFunc(r.URL.EscapedPath(), func(c rune) bool { return c == '/' })
	if len(segs) == 0 || segs[0] != b.cfg.WebhookID {
		f := bpNotFound("Integration", strings.Join(segs[:min(1, len(segs))], ""))
		status := f.status
		if b.cfg.WrongID200 {
			status = http.StatusOK
		}
		b.write(w, status, f.body(b.cfg.Now()), nil)
		return
	}
	c := &bpCall{token: r.URL.Query().Get("nextToken")}
	fail := c.route(b.ops, r.Method, segs[1:])
	if fail == nil {
		fail = c.read(w, r)
	}
	if fail != nil {
		b.writeFailure(w, fail)
		return
	}
	fault := b.faults.take(func(f *BotpressFault) bool { return !f.Race && f.matches(c, segs[1:]) })
	if fault != nil && fault.before(b, w, down) {
		return
	}
	if !b.limit(w, c.op) {
		return
	}
	if c.op.name == "listenConversation" {
		b.listen(w, r, c, down)
		return
	}
	out, fail := b.perform(r, c)
	if bpDone(down) || b.ctx.Err() != nil {
		bpReset(w)
		return
	}
	if fault != nil && fault.after(b, w, down) {
		return
	}
	b.answer(w, c.op, out, fail)
}

func (b *Botpress) answer(w http.ResponseWriter, op *bpOp, out any, fail *bpFailure) {
	switch text, isText := out.(string); {
	case fail != nil:
		b.writeFailure(w, fail)
	case isText:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text)
	case op.creates && b.cfg.Status201:
		b.write(w, http.StatusCreated, bpJSON(out), nil)
	default:
		b.write(w, http.StatusOK, bpJSON(out), nil)
	}
}

// route finds the operation; the path is matched before the method.
func (c *bpCall) route(ops []*bpOp, method string, segs []string) *bpFailure {
	known := false
	for _, op := range ops {
		if len(op.segs) != len(segs) {
			continue
		}
		var params [2]string
		n, ok := 0, true
		for i, s := range op.segs {
			if s == "*" {
				params[n] = segs[i]
				n++
			} else if s != segs[i] {
				ok = false
				break
			}
		}
		if !ok {
			continue
		}
		known = true
		if op.method == method {
			c.op, c.params = op, params
			return nil
		}
	}
	if known {
		return bpRouterError(http.StatusNotFound, "Method doesn't exist")
	}
	return bpRouterError(http.StatusNotFound, "Route doesn't exist")
}

// read takes the body in and validates it. That comes before authentication: a missing key is a
// schema violation too.
func (c *bpCall) read(w http.ResponseWriter, r *http.Request) *bpFailure {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bpMaxRequest))
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return bpAPIError(http.StatusRequestEntityTooLarge, "PayloadTooLarge", "Request payload is too large")
	} else if err != nil {
		return bpRouterError(http.StatusBadRequest, "Invalid JSON body")
	}
	c.raw = raw
	var fail *bpFailure
	if c.op.body {
		if c.body, fail = bpParseBody(raw); fail != nil {
			return fail
		}
	} else if len(bytes.TrimSpace(raw)) > 0 {
		if _, fail = bpParseBody(raw); fail != nil && fail.message == "Invalid JSON body" {
			return fail
		}
	}
	if c.op.key && len(r.Header.Values("x-user-key")) == 0 {
		return bpRouterError(http.StatusBadRequest, "must have required property 'x-user-key'")
	}
	if c.op.check != nil {
		return c.op.check(c)
	}
	return nil
}

// perform authenticates and runs the operation.
func (b *Botpress) perform(r *http.Request, c *bpCall) (any, *bpFailure) {
	if fail := b.authenticate(r, c); fail != nil {
		return nil, fail
	}
	b.mu.Lock()
	b.calls[c.op.name]++
	c.me = b.store.user(c.caller)
	b.mu.Unlock()
	return c.op.run(b, c)
}

func (b *Botpress) authenticate(r *http.Request, c *bpCall) *bpFailure {
	if !c.op.key {
		return nil
	}
	var ok bool
	if c.caller, ok = bpVerifyKey(b.keys.Load().secret, r.Header.Get("x-user-key"), b.cfg.Now()); !ok {
		return bpAPIError(http.StatusUnauthorized, "Unauthorized", "Invalid user key")
	}
	return nil
}

// limit applies the rate limit and writes its headers; false means that 429 has been answered.
func (b *Botpress) limit(w http.ResponseWriter, op *bpOp) bool {
	if b.cfg.RateLimit <= 0 {
		return true
	}
	taken, remaining, reset := b.limiter.take(b.cfg.Now(), op.limited)
	h := w.Header()
	h.Set("RateLimit-Limit", strconv.Itoa(b.cfg.RateLimit))
	h.Set("RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("RateLimit-Reset", strconv.Itoa(int((reset+time.Second-1)/time.Second)))
	if taken {
		return true
	}
	b.writeFailure(w, &bpFailure{
		status: http.StatusTooManyRequests, shape: ShapeLimited, kind: "RateLimited",
		message: "The request has been rate-limited.",
	})
	return false
}

func (b *Botpress) writeFailure(w http.ResponseWriter, f *bpFailure) {
	if f.shape == ShapeText {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.message)
		return
	}
	b.write(w, f.status, f.body(b.cfg.Now()), nil)
}

func (b *Botpress) write(w http.ResponseWriter, status int, body []byte, header map[string]string) {
	h := w.Header()
	if b.cfg.ContentType {
		h.Set("Content-Type", "application/json")
	} else {
		h["Content-Type"] = nil // keeps net/http from guessing one
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	for k, v := range header {
		h.Set(k, v)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

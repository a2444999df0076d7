package simulator

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// wcQuery builds a query in WeChat's order of parameters.
type wcQuery struct{ strings.Builder }

func (q *wcQuery) add(name, value string) {
	if q.Len() > 0 {
		q.WriteByte('&')
	}
	q.WriteString(name + "=" + url.QueryEscape(value))
}

func wcJoinQuery(base, query string) string {
	if strings.Contains(base, "?") {
		return base + "&" + query
	}
	return base + "?" + query
}

// wcDigits is a random decimal number of n digits that does not start with 0.
func wcDigits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + rand.IntN(10))
	}
	b[0] = byte('1' + rand.IntN(9))
	return string(b)
}

func (w *WeChat) stamp(f Forgery) string {
	return strconv.FormatInt(w.cfg.Now().Add(-f.Age).Unix(), 10)
}

// signed starts a query with signature, timestamp and nonce.
func (w *WeChat) signed(s *wcSettings, f Forgery) *wcQuery {
	q := new(wcQuery)
	w.sign(q, s, f, w.stamp(f), wcDigits(9+rand.IntN(2)))
	return q
}

func (w *WeChat) sign(q *wcQuery, s *wcSettings, f Forgery, stamp, nonce string) {
	if f.NoSignature {
		return
	}
	token := s.token
	if f.Signature {
		token += "x"
	}
	q.add("signature", wcSign(token, stamp, nonce))
	q.add("timestamp", stamp)
	q.add("nonce", nonce)
}

// request makes one attempt: URL and body, with a fresh timestamp, nonce and cipher text.
func (w *WeChat) request(s *wcSettings, p *SimPush) (method, target, body string) {
	mode := s.mode
	if p.Mode != "" {
		mode = p.Mode
	}
	if p.Forge.Plain {
		mode = ModePlain
	}
	stamp, nonce := w.stamp(p.Forge), wcDigits(9+rand.IntN(2))
	q := new(wcQuery)
	w.sign(q, s, p.Forge, stamp, nonce)
	if p.OpenID != "" {
		q.add("openid", p.OpenID)
	}
	open := p.xml(s.account) // without </xml>
	plain := open + "</xml>"
	if p.Raw != nil {
		plain = string(p.Raw)
		open, _, _ = strings.Cut(plain, "</xml>")
	}
	body = plain
	if mode != ModePlain && s.cipher != nil {
		encrypted := w.encrypt(s, p.Forge, plain)
		token := s.token
		if p.Forge.MsgSignature {
			token += "x"
		}
		q.add("encrypt_type", "aes")
		if !p.Forge.NoSignature {
			q.add("msg_signature", wcSign(token, stamp, nonce, encrypted))
		}
		tail := wcElem("Encrypt", encrypted) + "</xml>"
		if mode == ModeSafe {
			body = "<xml>" + wcElem("ToUserName", s.account) + tail
		} else {
			body = open + tail
		}
	}
	if p.Body != nil {
		body = string(p.Body)
	}
	return http.MethodPost, wcJoinQuery(s.callback, q.String()), body
}

func (w *WeChat) encrypt(s *wcSettings, f Forgery, plain string) string {
	appID := s.appID
	if f.AppID != "" {
		appID = f.AppID
	}
	var random [16]byte
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	e := s.cipher.sealWith(random[:], []byte(plain), appID, !f.BadPad)
	if f.Cut {
		e = e[:len(e)/2]
	}
	return e
}

// wcMarks is WeChat's MarkFail: after many failures within a minute, nothing for a minute.
type wcMarks struct {
	mu    sync.Mutex
	since time.Time // start of the minute that is counted
	count int
	until time.Time
}

func (m *wcMarks) fail(now time.Time, bound int) {
	if bound <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.since) >= time.Minute {
		m.since, m.count = now, 0
	}
	if m.count++; m.count >= bound {
		m.since, m.count, m.until = time.Time{}, 0, now.Add(time.Minute)
	}
}

func (m *wcMarks) paused(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until)
}

func (m *wcMarks) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since, m.count, m.until = time.Time{}, 0, time.Time{}
}

package simulator

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"sync"
	"time"
)

// Times and counts of access tokens.
const (
	wcTokenLife    = 2 * time.Hour
	wcTokenOverlap = 5 * time.Minute // old and new token both work
	wcForceGap     = 30 * time.Second
	wcForceDaily   = 20
	wcTokensKept   = 512
)

type wcTokenState int

const (
	wcTokenGood wcTokenState = iota
	wcTokenExpired
	wcTokenRetired // replaced by a newer one, or killed
)

type wcToken struct {
	value   string
	expires time.Time // of its own
	retires time.Time // when a newer token ends it; zero = none did
	dead    wcTokenState
}

// state tells what a business call with this token is told.
func (t *wcToken) state(now time.Time) wcTokenState {
	switch {
	case t.dead != wcTokenGood:
		return t.dead
	case !now.Before(t.expires):
		return wcTokenExpired
	case !t.retires.IsZero() && !now.Before(t.retires):
		return wcTokenRetired
	}
	return wcTokenGood
}

// wcTokens holds both families of tokens. They never touch each other.
type wcTokens struct {
	mu      sync.Mutex
	all     map[string]*wcToken
	order   []string // oldest first
	rolling *wcToken // newest of /cgi-bin/token
	stable  *wcToken // newest of /cgi-bin/stable_token
	forced  time.Time
	day     string // that forcings counts
	forces  int
}

func newWcTokens() *wcTokens { return &wcTokens{all: map[string]*wcToken{}} }

func (t *wcTokens) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all, t.order = map[string]*wcToken{}, nil
	t.rolling, t.stable = nil, nil
	t.forced, t.day, t.forces = time.Time{}, "", 0
}

// kill ends every token there is.
func (t *wcTokens) kill(as wcTokenState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tok := range t.all {
		if tok.dead == wcTokenGood {
			tok.dead = as
		}
	}
}

// ExpireTokens ends all tokens as if their two hours were over: 42001.
func (w *WeChat) ExpireTokens() { w.tokens.kill(wcTokenExpired) }

// RevokeTokens ends all tokens as if newer ones had replaced them: 40001.
func (w *WeChat) RevokeTokens() { w.tokens.kill(wcTokenRetired) }

func (t *wcTokens) issue(now time.Time) *wcToken {
	var b [114]byte
	rand.Read(b[:])
	tok := &wcToken{value: "92_" + base64.RawURLEncoding.EncodeToString(b[:]), expires: now.Add(wcTokenLife)}
	t.all[tok.value] = tok
	t.order = append(t.order, tok.value)
	if len(t.order) > wcTokensKept {
		delete(t.all, t.order[0])
		t.order = t.order[1:]
	}
	return tok
}

// roll issues a token of /cgi-bin/token, which retires the one before it.
func (t *wcTokens) roll(now time.Time) *wcToken {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rolling != nil {
		t.rolling.retires = now.Add(wcTokenOverlap)
	}
	t.rolling = t.issue(now)
	return t.rolling
}

// hold returns the stable token: the same one until its last five minutes.
func (t *wcTokens) hold(now time.Time) (string, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held(now)
}

func (t *wcTokens) held(now time.Time) (string, time.Duration) {
	if s := t.stable; s == nil || s.state(now) != wcTokenGood || s.expires.Sub(now) <= wcTokenOverlap {
		// The old one has at most five minutes left, so that it ends by itself.
		t.stable = t.issue(now)
	}
	return t.stable.value, t.stable.expires.Sub(now)
}

// force replaces the stable token and ends the old one at once; a call too soon after the
// last one gets the token there is.
func (t *wcTokens) force(now time.Time) (value string, left time.Duration, quota bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.forced) < wcForceGap {
		value, left = t.held(now)
		return value, left, true
	}
	if day := now.UTC().Format(time.DateOnly); day != t.day {
		t.day, t.forces = day, 0
	}
	if t.forces >= wcForceDaily {
		return "", 0, false
	}
	t.forces++
	t.forced = now
	if t.stable != nil {
		t.stable.dead = wcTokenRetired
	}
	t.stable = t.issue(now)
	return t.stable.value, wcTokenLife, true
}

// check tells the error code for a call with this token: 0, 41001, 40014, 40001 or 42001.
func (t *wcTokens) check(value string, now time.Time) int {
	if value == "" {
		return 41001
	}
	if len(value) < 16 {
		return 40014
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tok := t.all[value]
	if tok == nil {
		return 40001
	}
	return map[wcTokenState]int{wcTokenGood: 0, wcTokenExpired: 42001, wcTokenRetired: 40001}[tok.state(now)]
}

type wcTokenAnswer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

// credentials checks what every token call must bring.
func (w *WeChat) credentials(r *http.Request, grant, appID, secret string) error {
	s := w.settings.Load()
	switch {
	case appID == "":
		return wcFail(41002, "appid missing")
	case secret == "":
		return wcFail(41004, "appsecret missing")
	case grant != "client_credential":
		return wcFail(40002, "invalid grant_type")
	case appID != s.appID:
		return wcFail(40013, "invalid appid")
	case secret != s.secret:
		return wcFail(40125, "invalid appsecret")
	case !s.ipAllowed(r):
		ip := wcRemoteIP(r)
		return wcFail(40164, "invalid ip "+ip+" ipv6 ::ffff:"+ip+", not in whitelist")
	}
	return nil
}

func (w *WeChat) apiToken(rq *wcRequest) (any, error) {
	if err := w.credentials(rq.r, rq.q.Get("grant_type"), rq.q.Get("appid"), rq.q.Get("secret")); err != nil {
		return nil, err
	}
	tok := w.tokens.roll(w.now())
	return wcTokenAnswer{tok.value, int(wcTokenLife.Seconds())}, nil
}

func (w *WeChat) apiStableToken(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	if err := w.credentials(rq.r, in.str("grant_type"), in.str("appid"), in.str("secret")); err != nil {
		return nil, err
	}
	if force, _ := in["force_refresh"].(bool); !force {
		value, left := w.tokens.hold(w.now())
		return wcTokenAnswer{value, int(left.Seconds())}, nil
	}
	value, left, ok := w.tokens.force(w.now())
	if !ok {
		return nil, wcFail(45009, "reach max api daily quota limit")
	}
	return wcTokenAnswer{value, int(left.Seconds())}, nil
}

package simulator

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Message encryption modes of an Official Account.
const (
	ModePlain      = "plain"      // plaintext bodies, only `signature`
	ModeCompatible = "compatible" // plaintext and ciphertext in one body
	ModeSafe       = "safe"       // ciphertext only
)

// Account kinds, by what WeChat lets them do.
const (
	KindVerified   = "verified"   // every API
	KindIndividual = "individual" // receives and answers; every other API is 48001
	KindSandbox    = "sandbox"    // every API, but no msgmenu and no IP allowlist
)

// What the simulator does with a JSON body that holds \uXXXX escapes, which WeChat
// refuses or shows to the user letter by letter.
const (
	EscapesRefuse  = "refuse"  // answer 40033
	EscapesLiteral = "literal" // show the user a backslash, a u and four digits
	EscapesAccept  = "accept"  // decode them as JSON says
)

// WeChatConfig describes one simulated Official Account. The zero value of every field
// has a meaning; only the identity (AppID, AppSecret, Token, OriginalID and, outside plain
// mode, AESKey) and CallbackURL have to be given to be of use.
type WeChatConfig struct {
	AppID      string // "wx" and 16 hex digits
	AppSecret  string // checked by the token calls
	Token      string // signs pushes
	AESKey     string // EncodingAESKey, 43 characters; needed in compatible and safe mode
	OriginalID string // "gh_" and 12 hex digits; the account's name in pushes; default gh_0123456789ab

	Mode        string // ModePlain (default), ModeCompatible or ModeSafe
	Kind        string // KindVerified (default), KindIndividual or KindSandbox
	CallbackURL string // where pushes go, e.g. http://127.0.0.1:9080/wechat
	PublicURL   string // base URL under which this handler is reached, for PicUrl and video_url; default: learned from the Host of the first request

	Timeout    time.Duration // how long an answer to a push may take; default 5s
	Attempts   int           // how often a push is sent in all; default 3
	RetryPause time.Duration // between attempts after a connection error; default 1s, negative for none
	// RetryIllegal sends a push again after an illegal answer too. Whether WeChat does is
	// not documented; by default the simulator does not.
	RetryIllegal bool
	// MarkFail, if positive, is the number of failed attempts within a minute after which
	// no pushes are sent for a minute, as WeChat does to servers that fail often.
	MarkFail int

	NoAllowance bool   // switches the allowance clock (45015, 45047) off
	Escapes     string // EscapesRefuse (default), EscapesLiteral or EscapesAccept
	ImageLimit  int64  // largest image upload in bytes; default 2 MiB, the smaller of WeChat's two documented figures

	HTTP              *http.Client     // for pushes; default a client of its own, without a proxy
	DisableKeepAlives bool             // a new connection for each push (own client only)
	Now               func() time.Time // default time.Now; Advance adds to it

	KeepSeen       int // messages kept per user, the newest; default 1000
	KeepDeliveries int // deliveries kept in all; default 1000
	KeepCalls      int // API calls kept in all; default 1000
	KeepMedia      int // media files kept in all; default 4096
	KeepEvents     int // happenings kept for GET events; default 0: none

	// OnSeen, if set, is called for everything a user sees, before those who wait for it
	// wake. It must be quick and must not call back into the simulator.
	OnSeen func(openid string, s Seen)
}

// WeChat imitates WeChat's side of one Official Account: it pushes to the callback URL as
// WeChat does and judges the answers, and as an http.Handler it serves the API below
// /cgi-bin/, hosted pictures below /pic/ and the control API below /control/wechat/.
// All methods are safe for concurrent use.
type WeChat struct {
	cfg    WeChatConfig
	client *http.Client
	own    *http.Transport // closed by Close; nil if the client was given
	ctx    context.Context
	stop   context.CancelFunc
	ending sync.Mutex // so that no goroutine starts while Close waits
	wg     sync.WaitGroup
	async  chan struct{} // a place for each push of the control API that nobody waits for

	settings atomic.Pointer[wcSettings]
	setting  sync.Mutex             // serialises changes of settings
	learned  atomic.Pointer[string] // base URL of the first request
	offset   atomic.Int64
	nextMsg  atomic.Int64

	users  sync.Map // openid -> *wcUser
	totals wcTotals
	tokens *wcTokens
	media  *wcMediaStore
	faults wcFaults
	ledger *wcLedger
	marks  wcMarks
	feed   *feed
	serial atomic.Int64 // of deliveries

	account wcAccount
}

// wcSettings are those settings that can change while pushes are on their way. A value is
// never changed once it is published.
type wcSettings struct {
	mode, kind, secret    string
	callback, public      string
	cipher                *wcCipher // nil without an AESKey
	allowed               []string  // IP allowlist; nil = off
	sources               []string  // what getcallbackip answers; nil = loopback
	down                  bool
	token, appID, account string
}

// NewWeChat makes a simulated account. It panics on a config that cannot work (an unknown
// mode, a bad AESKey), because that is a mistake in the test that calls it.
func NewWeChat(cfg WeChatConfig) *WeChat {
	cfg = cfg.withDefaults()
	w := &WeChat{
		cfg:    cfg,
		client: cfg.HTTP,
		async:  make(chan struct{}, wcMaxAsync),
		tokens: newWcTokens(),
		media:  newWcMediaStore(cfg.KeepMedia),
		ledger: newWcLedger(cfg.KeepDeliveries, cfg.KeepCalls),
		feed:   newFeed(cfg.KeepEvents),
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	if w.client == nil {
		w.own = &http.Transport{
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     30 * time.Second,
			DisableKeepAlives:   cfg.DisableKeepAlives,
			DisableCompression:  true,
		}
		w.client = &http.Client{Transport: w.own}
	}
	// WeChat is not known to follow redirects: a redirect is an illegal answer.
	once := *w.client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.client = &once
	w.settings.Store(cfg.settings())
	// Ids go on from one run to the next, so that a journal that outlives the simulator
	// does not take new messages for duplicates.
	w.nextMsg.Store(time.Now().UnixMilli()*10000 + rand.Int64N(1000))
	w.account.init()
	return w
}

func (c WeChatConfig) withDefaults() WeChatConfig {
	c.OriginalID = cmp.Or(c.OriginalID, "gh_0123456789ab")
	c.Mode = cmp.Or(c.Mode, ModePlain)
	c.Kind = cmp.Or(c.Kind, KindVerified)
	c.Escapes = cmp.Or(c.Escapes, EscapesRefuse)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.RetryPause = max(cmp.Or(c.RetryPause, time.Second), 0)
	c.ImageLimit = cmp.Or(c.ImageLimit, 2<<20)
	c.KeepSeen = cmp.Or(c.KeepSeen, 1000)
	c.KeepDeliveries = cmp.Or(c.KeepDeliveries, 1000)
	c.KeepCalls = cmp.Or(c.KeepCalls, 1000)
	c.KeepMedia = cmp.Or(c.KeepMedia, 4096)
	if c.Now == nil {
		c.Now = time.Now
	}
	if !slices.Contains([]string{EscapesRefuse, EscapesLiteral, EscapesAccept}, c.Escapes) {
		panic("simulator: unknown Escapes " + c.Escapes)
	}
	return c
}

func (c WeChatConfig) settings() *wcSettings {
	s := &wcSettings{
		mode: c.Mode, kind: c.Kind, secret: c.AppSecret,
		callback: c.CallbackURL, public: strings.TrimRight(c.PublicURL, "/"),
		token: c.Token, appID: c.AppID, account: c.OriginalID,
	}
	if c.AESKey != "" {
		s.cipher = mustWcCipher(c.AESKey)
	}
	if err := s.check(); err != nil {
		panic("simulator: " + err.Error())
	}
	return s
}

// Close ends pushes on their way, waits for the simulator's goroutines and drops its
// connections. The handler keeps answering.
func (w *WeChat) Close() {
	w.ending.Lock()
	w.stop()
	w.ending.Unlock()
	w.wg.Wait()
	if w.own != nil {
		w.own.CloseIdleConnections()
	}
}

// spawn runs f in a goroutine that Close waits for; false if the simulator is closed.
func (w *WeChat) spawn(f func()) bool {
	w.ending.Lock()
	defer w.ending.Unlock()
	if w.ctx.Err() != nil {
		return false
	}
	w.wg.Go(f)
	return true
}

// ServeHTTP serves /cgi-bin/, /pic/ and /control/wechat/.
func (w *WeChat) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.learned.Load() == nil {
		base := "http://" + r.Host
		w.learned.CompareAndSwap(nil, &base)
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/cgi-bin/"):
		w.serveAPI(rw, r)
	case strings.HasPrefix(path, "/pic/"):
		w.servePic(rw, r)
	case path == wcControl[:len(wcControl)-1] || strings.HasPrefix(path, wcControl):
		w.serveControl(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

// now is the account's time: the real one and what Advance added.
func (w *WeChat) now() time.Time {
	return w.cfg.Now().Add(time.Duration(w.offset.Load()))
}

// Advance moves the clock by which tokens, allowances, typing, media and MarkFail expire.
// The timestamps of pushes stay on real time, as the server they go to does.
func (w *WeChat) Advance(d time.Duration) { w.offset.Add(int64(d)) }

// Totals counts what the account's users have seen since the start or the last Reset.
type Totals struct {
	Passive int64 `json:"passive"` // passive replies
	Push    int64 `json:"push"`    // customer-service messages
	Notices int64 `json:"notices"` // failure notices
	Escapes int64 `json:"escapes"` // API bodies that held \uXXXX escapes
}

type wcTotals struct{ passive, push, notices, escapes atomic.Int64 }

// Totals returns the counters.
func (w *WeChat) Totals() Totals {
	return Totals{w.totals.passive.Load(), w.totals.push.Load(), w.totals.notices.Load(), w.totals.escapes.Load()}
}

// Reset forgets users, messages, media, tokens, records, faults, the menu and the clock's
// offset. Settings stay as they are.
func (w *WeChat) Reset() {
	w.ClearFaults()
	w.SetDown(false)
	w.offset.Store(0)
	w.users.Range(func(_, v any) bool { v.(*wcUser).wake(); return true })
	w.users.Clear()
	w.totals.passive.Store(0)
	w.totals.push.Store(0)
	w.totals.notices.Store(0)
	w.totals.escapes.Store(0)
	w.tokens.clear()
	w.media.clear()
	w.ledger.clear()
	w.marks.clear()
	w.account.init()
	w.feed.reset()
}

// Users returns the openids of everyone who has ever followed, sorted.
func (w *WeChat) Users() []string {
	ids := []string{}
	w.users.Range(func(k, v any) bool {
		u := v.(*wcUser)
		u.mu.Lock()
		defer u.mu.Unlock()
		if !u.since.IsZero() {
			ids = append(ids, k.(string))
		}
		return true
	})
	slices.Sort(ids)
	return ids
}

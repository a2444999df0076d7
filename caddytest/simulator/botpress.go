package simulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// BotpressConfig describes the simulated bot and its installed chat integration. The zero value is
// usable: shared mode, no webhook, the built-in echo bot.
type BotpressConfig struct {
	// WebhookID is the first path segment of every call. Default "11111111-2222-4333-8444-555555555555".
	WebhookID string
	// EncryptionKey switches to personal mode, where clients sign the user keys with it. Empty is
	// shared mode: keys are issued by createUser alone.
	EncryptionKey string
	// WebhookURL receives every signal, with a slash appended as Botpress does. Empty: no webhook.
	WebhookURL string
	// WebhookSecret is sent as x-secret-key. Empty: the header is absent.
	WebhookSecret string
	// PublicURL is the base URL under which this handler is reached; the bot's media URLs start with
	// it. Default: learned from the Host of the first call.
	PublicURL string

	// Bot answers the turns. Default: EchoBot.
	Bot Bot
	// ThinkTime passes before the bot sees a turn. Default 0.
	ThinkTime time.Duration
	// BotWorkers bounds how many conversations the bot works on at once. Default 4096.
	BotWorkers int
	// AnswerEvents makes EchoBot answer custom events with "event: <name>".
	AnswerEvents bool

	// PageSize of every listing. Default 20.
	PageSize int
	// Ping is the silence after which a stream gets "data: ping". Default 30 s.
	Ping time.Duration
	// RateLimit is how many messages and events are taken per RateWindow before 429; with it every
	// answer carries RateLimit-* headers. Botpress documents 600 per minute. Default 0: no limit, no headers.
	RateLimit int
	// RateWindow is the sliding window of RateLimit. Default 1 minute.
	RateWindow time.Duration
	// Race leaves a gap this long between check and write of get-or-create, so that two simultaneous
	// calls with one new id collide as they do at Botpress. Default 0: no gap, no collision.
	Race time.Duration
	// Keep is how many messages and turns are remembered per conversation. Default 0: all.
	Keep int
	// KeepEvents is how many happenings are kept for GET events. Default 0: none.
	KeepEvents int

	// Status201 answers creates with 201, as the specification says, instead of the 200 seen on the wire.
	Status201 bool
	// ContentType labels JSON answers application/json. Seen on the wire, and the default: no Content-Type at all.
	ContentType bool
	// WrongID200 reports an unknown webhook id under status 200, with the error in the body only.
	WrongID200 bool
	// ReorderWebhooks holds the replies to a turn back until the bot has done with it, and then posts
	// and streams them in reverse.
	ReorderWebhooks bool
	// DisableKeepAlives makes every webhook POST use a connection of its own.
	DisableKeepAlives bool

	// Now is the clock of timestamps and key expiry. Default time.Now.
	Now func() time.Time
}

// Botpress simulates Botpress Cloud's Chat API for one bot: users, conversations, messages, events,
// listening by server-sent events, the webhook, and a bot that answers. It serves
//
//	/{webhookId}/...       the Chat API
//	/media/...             pictures, sound and video that the bot sends
//	/control/botpress/...  the JSON control API, see botpress_control.go
//
// Not simulated: listening by WebSocket, /redoc's page, and plan quotas.
//
// All methods may be called at any time from any goroutine.
type Botpress struct {
	cfg     BotpressConfig
	keys    atomic.Pointer[bpKeys]
	control http.Handler
	ops     []*bpOp
	hooks   *bpHooks
	limiter *bpLimiter
	faults  bpFaults
	feed    *feed

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // bot workers

	mu        sync.Mutex
	closed    bool
	down      chan struct{} // closed while down
	publicURL string
	bot       Bot
	silent    bool // streams say nothing
	panics    int
	store     bpStore
	lanes     bpLanes
	waiters   map[*bpWaiter]struct{}
	calls     map[string]int
	think     time.Duration
}

// NewBotpress starts a simulator. Close ends it.
func NewBotpress(cfg BotpressConfig) *Botpress {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	b := &Botpress{
		cfg:       cfg,
		ops:       bpAllOps(),
		ctx:       ctx,
		cancel:    cancel,
		down:      make(chan struct{}),
		publicURL: strings.TrimRight(cfg.PublicURL, "/"),
		bot:       cfg.Bot,
		waiters:   map[*bpWaiter]struct{}{},
		calls:     map[string]int{},
		feed:      newFeed(cfg.KeepEvents),
		think:     cfg.ThinkTime,
	}
	b.SetEncryptionKey(cfg.EncryptionKey)
	b.hooks = newBPHooks(cfg, b.feed)
	b.limiter = &bpLimiter{limit: cfg.RateLimit, window: cfg.RateWindow}
	b.store = newBPStore(cfg)
	b.control = b.controlHandler()
	return b
}

func (c BotpressConfig) withDefaults() BotpressConfig {
	if c.WebhookID == "" {
		c.WebhookID = "11111111-2222-4333-8444-555555555555"
	}
	if c.Bot == nil {
		c.Bot = EchoBot
	}
	if c.BotWorkers <= 0 {
		c.BotWorkers = 4096
	}
	if c.PageSize <= 0 {
		c.PageSize = 20
	}
	if c.Ping <= 0 {
		c.Ping = 30 * time.Second
	}
	if c.RateWindow <= 0 {
		c.RateWindow = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Close cuts streams and webhook calls, stops the bot and waits for its goroutines. Calls that come
// later are reset. Close it before the server that serves it, which waits for its streams.
func (b *Botpress) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.wg.Wait()
	b.hooks.client.CloseIdleConnections()
}

// ServeHTTP serves the Chat API, the bot's media and the control API.
func (b *Botpress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/control/botpress/") {
		b.control.ServeHTTP(w, r)
		return
	}
	down := b.downSignal()
	if b.feed != nil {
		heard := overhear(w, r)
		w = heard
		defer func() { b.feed.add("call", "", heard.event(r)) }()
	}
	if bpDone(down) || b.ctx.Err() != nil {
		bpReset(w)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/media/") {
		bpServeMedia(w, r)
		return
	}
	b.learnPublicURL(r)
	b.serveChat(w, r, down)
}

// WebhookID is the first path segment of the Chat API here.
func (b *Botpress) WebhookID() string { return b.cfg.WebhookID }

// SetWebhook points the webhook elsewhere; an empty url ends it.
func (b *Botpress) SetWebhook(url, secret string) { b.hooks.set(url, secret) }

// SetPublicURL sets the base of the media URLs in the bot's messages.
func (b *Botpress) SetPublicURL(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.publicURL = strings.TrimRight(url, "/")
}

// PublicURL is the base of the media URLs in the bot's messages.
func (b *Botpress) PublicURL() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.publicURL
}

// learnPublicURL takes the address a client used, when none was configured.
func (b *Botpress) learnPublicURL(r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.publicURL != "" || r.Host == "" {
		return
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	b.publicURL = scheme + r.Host
}

// Script puts another bot to work, from the next turn on; nil brings EchoBot back.
func (b *Botpress) Script(bot Bot) {
	if bot == nil {
		bot = EchoBot
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bot = bot
}

// SetThinkTime sets what passes before the bot sees a turn, from the next turn on.
func (b *Botpress) SetThinkTime(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.think = d
}

// Happenings gives what is newer than seq, the oldest first, and a channel that is closed
// by what happens next.
func (b *Botpress) Happenings(seq int64) ([]Happening, <-chan struct{}) { return b.feed.after(seq) }

// SetDown takes the Chat API and the media off the net: open streams are cut, calls are reset
// without effect, and calls under way are reset when they would answer. The control API goes on, and
// so does the bot with the turns it has accepted: its replies are stored and posted to the webhook.
func (b *Botpress) SetDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch was := bpDone(b.down); {
	case down && !was:
		close(b.down)
	case !down && was:
		b.down = make(chan struct{})
	}
}

// Reset forgets users, conversations, messages, turns and counts, clears faults and cuts streams.
// Settings, the bot's script and the webhook stay.
func (b *Botpress) Reset() {
	b.ClearFaults()
	b.SetDown(false)
	b.hooks.reset()
	b.limiter.reset()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.store.conversations {
		b.lanes.pending -= len(c.queue)
		c.queue = nil
		for s := range c.streams {
			s.end(true)
		}
	}
	b.silent = false
	b.panics = 0
	clear(b.calls)
	b.store = newBPStore(b.cfg)
	b.feed.reset()
	b.wake()
}

func (b *Botpress) downSignal() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

func bpDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// bpRandomHex gives n random bytes as hexadecimal digits.
func bpRandomHex(n int) string {
	s := make([]byte, n)
	_, _ = rand.Read(s) // never fails
	return hex.EncodeToString(s)
}

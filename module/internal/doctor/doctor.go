// Package doctor looks for what keeps a bridge from working, one check after the
// other, and says what to do about it in English or Chinese. It needs the
// configuration, and asks the running Caddy where there is one. It takes no
// messages, opens no port, and fetches access tokens only in the way that leaves
// those of the running bridge alone.
package doctor

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// Account is what is known of an account from its configuration. It holds secrets.
type Account struct {
	AppID     string
	AppSecret string
	Callback  *wechat.Callback
	// URL is the callback's address, empty if it is not known.
	URL   string
	API   string
	Proxy *url.URL // towards WeChat, nil for none
	// Passive says that replies are only answers, Push that they are only pushed.
	Passive, Push bool
	// Filtered says that callbacks are taken from some addresses only.
	Filtered bool
	Bot      *Bot   // nil for a kind of bot that is not known here
	BotKind  string // its name

	reported *cli.Journal // how the running Caddy says its journal does
}

// Bot is how a Botpress bot is reached. It holds secrets.
type Bot struct {
	API, WebhookID, EncryptionKey, WebhookSecret string
}

// Patient is what is examined.
type Patient struct {
	Accounts []Account
	// JournalDir is where the journal lies.
	JournalDir string
	// Admin is where the Caddy that runs is asked.
	Admin *cli.Admin
	// Patience is how long the bot's webhook is waited for; default 5 s.
	Patience time.Duration
	// Outside calls the public address; nil for a client of its own.
	Outside *http.Client

	tell func(Finding)
	now  func() time.Time
}

// callTime bounds each call of a check.
const callTime = 10 * time.Second

// Examine makes all checks and tells what each has found, as it is found.
func Examine(ctx context.Context, p Patient, tell func(Finding)) {
	if p.Patience <= 0 {
		p.Patience = 5 * time.Second
	}
	if p.now == nil {
		p.now = time.Now
	}
	p.tell = tell
	running := false
	for i := range p.Accounts {
		x := &examination{Patient: &p, Account: &p.Accounts[i]}
		x.examine(ctx)
		running = running || x.running
		if ctx.Err() != nil {
			return
		}
	}
	(&examination{Patient: &p, Account: &Account{}, running: running}).journal(ctx)
}

// examination is that of one account.
type examination struct {
	*Patient
	*Account

	running  bool         // a Caddy has the account
	same     bool         // with the keys of this configuration
	status   *cli.Account // how it says the account does
	troubles int
}

func (x *examination) examine(ctx context.Context) {
	x.lookAtCaddy(ctx)
	reached := x.clock(ctx)
	x.crypto(ctx)
	x.public(ctx)
	x.arrived(ctx)
	if reached {
		x.wechat(ctx)
	}
	if x.Bot != nil {
		x.bot(ctx)
	} else {
		x.found("bot.other", x.BotKind)
	}
	x.standing()
	if x.status != nil {
		x.reported = &x.status.Journal
	}
}

// found tells a finding.
func (x *examination) found(id ID, args ...any) {
	f := Finding{AppID: x.AppID, ID: id, Args: args}
	if l := f.Level(); l == Warn || l == Fail {
		x.troubles++
	}
	x.tell(f)
}

// within bounds a call.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTime)
}

// transport is one that uses a proxy, if one is given, and else the environment's.
func transport(proxy *url.URL) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: callTime}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return t
}

// recorder keeps the headers of the last answer that goes through it.
type recorder struct {
	next http.RoundTripper

	mu     sync.Mutex
	header http.Header
	at     time.Time
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.header, r.at = resp.Header.Clone(), time.Now()
	}
	return resp, err
}

// last gives what was kept.
func (r *recorder) last() (http.Header, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.header, r.at
}

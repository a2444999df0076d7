package wechat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	defaultBaseURL   = "https://api.weixin.qq.com"
	defaultUserAgent = "caddy-wechat"
	defaultTimeout   = 10 * time.Second
	jsonType         = "application/json; charset=utf-8"
	// uploadFactor is how much longer an upload may take than another call:
	// 30 s by default.
	uploadFactor = 3
)

// Paths of the calls, as they stand in errors.
const (
	pathToken       = "/cgi-bin/stable_token" //nolint:gosec // a path, no credential
	pathSend        = "/cgi-bin/message/custom/send"
	pathTyping      = "/cgi-bin/message/custom/typing"
	pathUpload      = "/cgi-bin/media/upload"
	pathDownload    = "/cgi-bin/media/get"
	pathUserInfo    = "/cgi-bin/user/info"
	pathCallbackIPs = "/cgi-bin/getcallbackip"
)

// Config describes one account's access to WeChat's HTTP API.
type Config struct {
	// AppID and AppSecret name the account and authenticate it. Required.
	AppID, AppSecret string
	// BaseURL is where the API is; default https://api.weixin.qq.com. It may
	// carry a path prefix, but no user, query or fragment.
	BaseURL string
	// HTTP does the requests; nil means an own client over Go's default
	// transport. Redirects are refused either way: they would carry the
	// access token to a place nobody named.
	HTTP *http.Client
	// UserAgent is sent with each request; default "caddy-wechat".
	UserAgent string
	// Timeout bounds each request, default 10 s; an upload may take three
	// times as long.
	Timeout time.Duration
	// Now is the clock by which tokens age; nil means time.Now.
	Now func() time.Time
	// OnToken hears how each fetching of an access token ended; nil for nobody. It
	// must not wait.
	OnToken func(error)
}

// String names the account and hides the secret.
func (c Config) String() string { return "wechat.Config(" + c.AppID + ")" }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// Client calls WeChat's HTTP API for one account and keeps its access token. It is
// safe for concurrent use. Close it when done.
//
// Each method returns *Error if WeChat answered with an error code, and
// *TransportError if there was no proper answer.
type Client struct {
	appID, appSecret string
	base             string // no trailing slash
	http             *http.Client
	userAgent        string
	timeout          time.Duration
	now              func() time.Time
	onToken          func(error)

	token  tokenCache
	flight singleflight.Group

	// Token requests belong to the client, not to the caller that happened to
	// need one first: alive ends with Close, which waits for them.
	alive  context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	// closing guards work against being added to while Close waits.
	closing sync.Mutex
	closed  bool
}

// NewClient returns a client; it makes no request. The error shows neither secret
// nor URL.
func NewClient(cfg Config) (*Client, error) {
	if cfg.AppID == "" || cfg.AppSecret == "" {
		return nil, errors.New("making WeChat client: AppID and AppSecret are required")
	}
	u, err := url.Parse(cmp.Or(cfg.BaseURL, defaultBaseURL))
	switch {
	case err != nil:
		return nil, errors.New("making WeChat client: base URL cannot be parsed")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("making WeChat client: base URL wants http or https and a host")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("making WeChat client: base URL takes no user, query or fragment")
	}
	c := &Client{
		appID:     cfg.AppID,
		appSecret: cfg.AppSecret,
		base:      strings.TrimRight(u.String(), "/?#"),
		userAgent: cmp.Or(cfg.UserAgent, defaultUserAgent),
		timeout:   cfg.Timeout,
		now:       cfg.Now,
		onToken:   cfg.OnToken,
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.onToken == nil {
		c.onToken = func(error) {}
	}
	c.http = ownClient(cfg.HTTP)
	c.alive, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// ownClient copies the caller's client, or makes one, and forbids redirects.
func ownClient(h *http.Client) *http.Client {
	own := &http.Client{}
	if h != nil {
		*own = *h
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = 64 // one host, many users
		own.Transport = t
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return own
}

// String names the account and hides the secret and the token.
func (c *Client) String() string { return "wechat.Client(" + c.appID + ")" }

// GoString is String, for %#v.
func (c *Client) GoString() string { return c.String() }

// Close ends the requests for a token that are under way and waits for them. Calls
// made with a context of their own are their callers' to end; calls that need a
// new token fail from now on.
func (c *Client) Close() {
	c.closing.Lock()
	c.closed = true
	c.closing.Unlock()
	c.cancel()
	c.work.Wait()
	c.http.CloseIdleConnections()
}

// begin registers work that Close has to wait for.
func (c *Client) begin() bool {
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.closed {
		return false
	}
	c.work.Add(1)
	return true
}

// call makes a request with the access token. If WeChat refuses the token, it is
// renewed, unless another call has done that already, and the request is made once
// more.
func (c *Client) call(ctx context.Context, rq request, answer any) error {
	return c.withToken(ctx, c.Token, func(token string) error {
		return c.exchange(ctx, rq, token, answer)
	})
}

// withToken runs do with the access token that get returns, and once more with a
// new one if WeChat refuses it.
func (c *Client) withToken(ctx context.Context, get func(context.Context) (string, error), do func(token string) error) error {
	token, err := get(ctx)
	if err != nil {
		return err
	}
	err = do(token)
	var refused *Error
	if !errors.As(err, &refused) || !refused.tokenRefused() {
		return err
	}
	c.token.drop(token)
	if token, err = get(ctx); err != nil {
		return err
	}
	return do(token)
}

// post makes a call with a JSON body.
func (c *Client) post(ctx context.Context, path string, body, answer any) error {
	b, err := encodeJSON(body)
	if err != nil {
		return fmt.Errorf("encoding request to %s: %w", path, err)
	}
	return c.call(ctx, request{
		method:      http.MethodPost,
		path:        path,
		contentType: jsonType,
		body:        b,
		timeout:     c.timeout,
	}, answer)
}

// Typing shows the user that an answer is being written, for up to 15 s, or takes
// that back. WeChat wants an exchange with the user within the last 30 s (45080).
func (c *Client) Typing(ctx context.Context, openid string, on bool) error {
	body := struct {
		ToUser  string `json:"touser"`
		Command string `json:"command"`
	}{cleanText(openid), "CancelTyping"}
	if on {
		body.Command = "Typing"
	}
	return c.post(ctx, pathTyping, body, nil)
}

// CallbackIPs returns the addresses from which WeChat delivers pushes. Entries
// that are no address and no prefix are left out; if nothing remains, that is a
// *TransportError: an empty list would shut WeChat out.
func (c *Client) CallbackIPs(ctx context.Context) ([]netip.Prefix, error) {
	var answer struct {
		IPs []string `json:"ip_list"`
	}
	rq := request{method: http.MethodGet, path: pathCallbackIPs, timeout: c.timeout, repeatable: true}
	if err := c.call(ctx, rq, &answer); err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, s := range answer.IPs {
		if p, ok := parsePrefix(strings.TrimSpace(s)); ok {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, &TransportError{API: pathCallbackIPs, reason: "the answer holds no addresses"}
	}
	return out, nil
}

func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

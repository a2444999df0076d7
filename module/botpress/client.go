package botpress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	// DefaultBaseURL is the Chat API's public host. The webhook host (webhook.botpress.cloud) does not serve it.
	DefaultBaseURL = "https://chat.botpress.cloud"

	// DefaultTimeout bounds one call. It is long because the server retries its own upstream calls for up to 6 s
	// and answers createMessage only after the bot's webhook has been served.
	DefaultTimeout = 30 * time.Second

	defaultUserAgent = "caddy-wechat"
	maxIdleConns     = 256 // all to one host; net/http's default of 2 would reconnect for nearly every message

	// HTTP/2 has streams and calls share a connection. One that is dead, with nobody having closed it, would be used
	// for new ones too, until the kernel gives it up after a quarter of an hour.
	pingAfter = 35 * time.Second // without a byte; Botpress's own pings come after 30 s
	pingWait  = 15 * time.Second
)

// Config is what a [Client] is made of.
type Config struct {
	// BaseURL is the Chat API's address without the webhook id, http or https. Default [DefaultBaseURL].
	BaseURL string

	// WebhookID is the last path segment of the Chat integration's webhook URL. Required.
	WebhookID string

	// EncryptionKey is the Chat integration's encryption key; its raw bytes sign the users' keys. Empty where the
	// integration has none: then Botpress issues the keys ([Client.CreateUser]), and calls are made with them
	// ([Client.As]).
	EncryptionKey string

	// HTTP carries the calls. Default: a client with its own connection pool and the environment's proxy.
	// Redirects are refused whatever it says: they would turn a POST into a GET.
	HTTP *http.Client

	// UserAgent is sent with every call. Default "caddy-wechat".
	UserAgent string

	// Timeout bounds one HTTP exchange, from dialling to the last byte. Waiting at the rate gate is not
	// counted: that is bounded by the caller's context. Default [DefaultTimeout].
	Timeout time.Duration

	// Silence is after how long without an event, pings included, a stream counts as dead ([Client.Listen]).
	// Default [DefaultSilence].
	Silence time.Duration

	// Now is the clock. Default [time.Now].
	Now func() time.Time

	// Header may add to the header of each request. Default: nothing is added.
	Header func(context.Context, http.Header)
}

// Client calls the Chat API of one bot. It is safe for concurrent use and keeps no goroutines of its own
// besides those of idle connections; see [Client.Close].
type Client struct {
	root      string // base URL and webhook id, no trailing slash
	http      *http.Client
	transport *http.Transport // ours to close, or nil
	header    func(context.Context, http.Header)
	userAgent string
	timeout   time.Duration
	silence   time.Duration
	secrets   []string // never to appear in an error

	keys    *keyring // nil: keys are issued by Botpress
	issued  string   // the key that calls are made with, if they are
	gate    *gate
	flights *flights
}

var webhookID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// New checks the settings and returns a client. It does not touch the network. Its errors show neither the key
// nor the base URL.
func New(cfg Config) (*Client, error) {
	root, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	if !webhookID.MatchString(cfg.WebhookID) {
		return nil, errors.New("checking webhook id: must be the last path segment of the Chat integration's webhook URL (letters, digits, - and _)")
	}
	c := &Client{
		root:      root + "/" + cfg.WebhookID,
		userAgent: cfg.UserAgent,
		timeout:   cfg.Timeout,
		silence:   cfg.Silence,
		secrets:   []string{cfg.EncryptionKey, cfg.WebhookID},
		flights:   new(flights),
	}
	if cfg.EncryptionKey != "" {
		c.keys = newKeyring(cfg.EncryptionKey)
	}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.silence <= 0 {
		c.silence = DefaultSilence
	}
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	c.gate = newGate(now)
	c.useHTTP(cfg.HTTP)
	if c.header = cfg.Header; c.header == nil {
		c.header = func(context.Context, http.Header) {}
	}
	return c, nil
}

func (c *Client) useHTTP(given *http.Client) {
	var own http.Client
	if given != nil {
		own = *given
	} else {
		c.transport = newTransport()
		own.Transport = c.transport
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &own
}

func newTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // someone replaced it; the zero transport lacks only the proxy
		return &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxIdleConns, IdleConnTimeout: 90 * time.Second}
	}
	t = t.Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = maxIdleConns, maxIdleConns
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingWait}
	return t
}

func baseURL(s string) (string, error) {
	if s == "" {
		s = DefaultBaseURL
	}
	u, err := url.Parse(s)
	if err != nil {
		// url.Error repeats the address, which may carry credentials.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return "", fmt.Errorf("parsing base URL: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", errors.New("checking base URL: must be an absolute http or https URL")
	case u.User != nil:
		return "", errors.New("checking base URL: must not contain credentials")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("checking base URL: must have neither a query nor a fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Close drops idle connections, unless the HTTP client came from the outside. Calls under way go on, and the
// client may still be used.
func (c *Client) Close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// Hello asks whether the bot's Chat API is there. A wrong webhook id shows as an [Error] for the operator.
// It proves nothing about the encryption key.
func (c *Client) Hello(ctx context.Context) error {
	return c.do(ctx, call{op: opHello, method: http.MethodGet, path: "/hello"})
}

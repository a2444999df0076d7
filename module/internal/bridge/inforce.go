package bridge

import (
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// newInForce builds what a configuration needs. A client that was built from
// the same credentials is used again: it holds the access token. Calls to WeChat go
// via a transport, if one is given.
func newInForce(owner any, s *Settings, applied []*inForce, memory *mediafile.Memory, via http.RoundTripper) (*inForce, error) {
	c := &inForce{Settings: s, owner: owner, fetch: mediafile.New(mediafile.Config{
		Allow: s.Media.Allow, MaxSize: s.Media.MaxSize, UserAgent: s.UserAgent, Memory: memory,
	})}
	for _, old := range applied {
		if sameClient(old.Settings, s) {
			c.client, c.http = old.client, old.http
			return c, nil
		}
	}
	c.http = apiHTTP(s.APIProxy)
	if via != nil {
		c.http.Transport = via
	}
	client, err := wechat.NewClient(wechat.Config{
		AppID:     s.AppID,
		AppSecret: s.AppSecret,
		BaseURL:   s.API,
		HTTP:      c.http,
		UserAgent: s.UserAgent,
		OnToken:   countersOf(s.AppID).token,
	})
	c.client = client
	return c, err
}

// closeClient ends what the API client does in the background. A call under way
// may end by it; it is made again with the client now in force.
func (c *inForce) closeClient() {
	c.client.Close()
	c.http.CloseIdleConnections()
}

func sameClient(a, b *Settings) bool {
	return a.AppID == b.AppID && a.AppSecret == b.AppSecret && a.API == b.API && proxyOf(a) == proxyOf(b)
}

func proxyOf(s *Settings) string {
	if s.APIProxy == nil {
		return ""
	}
	return s.APIProxy.String()
}

// apiHTTP is the HTTP client towards WeChat. Its calls get their deadlines from
// the API client.
func apiHTTP(proxy *url.URL) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.IdleConnTimeout = 60 * time.Second
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

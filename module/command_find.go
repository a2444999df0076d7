package module

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// foundHandler is a wechat handler in a configuration.
type foundHandler struct {
	raw  json.RawMessage
	site string // scheme, host and port at which it is reached; empty if not known
}

// siteServer is what of a server tells how its sites are reached.
type siteServer struct {
	Listen    []string                   `json:"listen"`
	Routes    []json.RawMessage          `json:"routes"`
	AutoHTTPS *caddyhttp.AutoHTTPSConfig `json:"automatic_https"`
	TLS       []json.RawMessage          `json:"tls_connection_policies"`
}

// findHandlers finds all wechat handlers in a configuration, without loading it.
func findHandlers(raw []byte) ([]foundHandler, error) {
	var c struct {
		Apps struct {
			HTTP struct {
				Servers map[string]siteServer `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	var all []foundHandler
	for _, name := range slices.Sorted(maps.Keys(c.Apps.HTTP.Servers)) {
		srv := c.Apps.HTTP.Servers[name]
		for _, route := range srv.Routes {
			all = srv.find(all, route, "", 0)
		}
	}
	return all, nil
}

// maxDepth is how deep routes may lie in routes.
const maxDepth = 50

// find adds the handlers of a route, and of what lies in it.
func (srv *siteServer) find(all []foundHandler, raw json.RawMessage, host string, depth int) []foundHandler {
	var route struct {
		Match []struct {
			Host []string `json:"host"`
		} `json:"match"`
		Handle []json.RawMessage `json:"handle"`
	}
	if depth > maxDepth || json.Unmarshal(raw, &route) != nil {
		return all
	}
	for _, m := range route.Match {
		for _, h := range m.Host {
			if host == "" && !strings.ContainsAny(h, "*{") {
				host = h
			}
		}
	}
	for _, raw := range route.Handle {
		var h struct {
			Handler string            `json:"handler"`
			Routes  []json.RawMessage `json:"routes"`
		}
		if json.Unmarshal(raw, &h) != nil {
			continue
		}
		if h.Handler == "wechat" {
			all = append(all, foundHandler{raw, srv.site(host)})
		}
		for _, inner := range h.Routes {
			all = srv.find(all, inner, host, depth+1)
		}
	}
	return all
}

// site is how a host of the server is reached.
func (srv *siteServer) site(host string) string {
	if host == "" || len(srv.Listen) == 0 {
		return ""
	}
	at, err := caddy.ParseNetworkAddress(srv.Listen[0])
	if err != nil || at.IsUnixNetwork() {
		return ""
	}
	secure := at.StartPort == 443 || len(srv.TLS) > 0
	if !secure && at.StartPort != 80 {
		auto := srv.AutoHTTPS
		secure = auto == nil || !auto.Disabled && !slices.Contains(auto.Skip, host)
	}
	switch {
	case secure && at.StartPort == 443:
		return "https://" + bracketed(host)
	case secure:
		return "https://" + net.JoinHostPort(host, fmt.Sprint(at.StartPort))
	case at.StartPort == 80:
		return "http://" + bracketed(host)
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(at.StartPort))
}

// bracketed is a host as it stands in a URL.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

package module

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// listWait bounds how long a callback waits, after a start, for the list of
// addresses that WeChat publishes.
const listWait = 3 * time.Second

// allowed tells whether a callback may come from the request's client, as Caddy
// knows it.
func (h *Handler) allowed(r *http.Request) bool {
	if h.ips.any() {
		return true
	}
	addr, ok := client(r)
	switch {
	case !ok:
		return false
	case h.ips.wechat:
		return h.published(r, addr)
	}
	return slices.ContainsFunc(h.ips.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// published tells whether WeChat says that it sends callbacks from an address. As
// long as WeChat has said nothing, it is as configured.
func (h *Handler) published(r *http.Request, addr netip.Addr) bool {
	ctx, cancel := context.WithTimeout(r.Context(), listWait)
	defer cancel()
	rt, done, err := h.account.enter(ctx)
	if err != nil {
		return !h.ips.closed
	}
	defer done()
	listed, known := rt.FromWeChat(ctx, addr)
	return listed || !known && !h.ips.closed
}

// client is the address of a request's client: the one that a proxy names, if Caddy
// trusts it.
func client(r *http.Request) (netip.Addr, bool) {
	ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if !ok || ip == "" {
		ip = r.RemoteAddr
		if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			ip = ap.Addr().String()
		}
	}
	addr, err := netip.ParseAddr(ip)
	return addr.Unmap().WithZone(""), err == nil
}

// any tells whether callbacks may come from everywhere.
func (c callbackIPs) any() bool { return !c.wechat && len(c.prefixes) == 0 }

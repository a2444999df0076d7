package mediafile

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// azureWire is a public address that leads to the host of a virtual machine,
// metadata included, wherever Azure's machines run.
var azureWire = netip.MustParsePrefix("168.63.129.16/32")

// newGuard tells which addresses may be dialled: public ones and those in allow.
func newGuard(allow []netip.Prefix) *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(azureWire),
		ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// dialGuarded returns a dial function for an http.Transport. The guard sees the
// address that is really dialled, each time, so neither a name that resolves to
// something else the second time nor a redirect gets past it.
func dialGuarded(allow []netip.Prefix, resolver *net.Resolver) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 3 * time.Second, Resolver: resolver, Control: newGuard(allow).Safe}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, ErrAddress
		}
		if oddIPv4(host) {
			return nil, fmt.Errorf("%w: an IPv4 address in an unusual form", ErrForbidden)
		}
		return d.DialContext(ctx, network, address)
	}
}

// oddIPv4 tells whether host is what the URL standard calls ending in a number,
// without being a plain IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1, 127.1,
// 127.0.0.1 with a trailing dot. Whether such a form is an address depends on
// the resolver; no honest name has it.
func oddIPv4(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		_, err := strconv.ParseUint(hex, 16, 64)
		return hex == "" || err == nil
	}
	return strings.Trim(last, "0123456789") == ""
}

// checkURL refuses what is not fetched at all, of an address or of a redirect.
func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return ErrAddress
	}
	if u.User != nil {
		return fmt.Errorf("%w: it holds user info", ErrAddress)
	}
	return nil
}

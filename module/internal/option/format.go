package option

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"
)

// MaxText is the longest text in bytes that goes to a user as one message.
// (WeChat: customer-service messages, error 45002.)
const MaxText = 2000

// The functions below parse one resolved value. Their errors do not repeat it.

// Duration parses a duration as Caddy writes it, `d` for days included. It is
// not negative.
func Duration(s string) (time.Duration, error) {
	v, err := caddy.ParseDuration(s)
	if err != nil {
		return 0, errors.New("not a duration such as 300ms, 4s or 2d")
	}
	if v < 0 {
		return 0, errors.New("a duration cannot be negative")
	}
	return v, nil
}

// PositiveDuration parses a duration that is more than nothing.
func PositiveDuration(s string) (time.Duration, error) {
	v, err := Duration(s)
	if err == nil && v == 0 {
		err = errors.New("must be more than 0")
	}
	return v, err
}

// Size parses a number of bytes such as 1MiB or 500KB. It is more than 0.
func Size(s string) (int64, error) {
	v, err := humanize.ParseBytes(s)
	if err != nil || v > math.MaxInt64 {
		return 0, errors.New("not a size such as 500KB or 1MiB")
	}
	if v == 0 {
		return 0, errors.New("must be more than 0")
	}
	return int64(v), nil
}

// Count parses a whole number that is more than 0.
func Count(s string) (int, error) {
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, errors.New("not a whole number, or too large a one")
	}
	if v < 1 {
		return 0, errors.New("must be at least 1")
	}
	return int(v), nil
}

// Switch parses on and off.
func Switch(s string) (bool, error) {
	_, err := OneOf("on", "off")(s)
	return s == "on", err
}

// OneOf returns a parser that takes only the given words.
func OneOf[T ~string](words ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if slices.Contains(words, T(s)) {
			return T(s), nil
		}
		names := make([]string, len(words))
		for i, w := range words {
			names[i] = string(w)
		}
		return "", fmt.Errorf("must be one of %s", strings.Join(names, ", "))
	}
}

// BaseURL parses an absolute http or https URL to which paths are appended, and
// returns it without a slash at the end.
func BaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !hasHost(u) {
		return "", errors.New("must be an absolute http or https URL")
	}
	if u.User != nil || strings.ContainsAny(s, "?#") {
		return "", errors.New("must be a URL without user, query and fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// ProxyURL parses the address of an egress proxy. It may hold a password: treat
// it as a secret.
func ProxyURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) || !hasHost(u) {
		return nil, errors.New("must be an absolute http, https, socks5 or socks5h URL")
	}
	if strings.TrimRight(u.Path, "/") != "" || strings.ContainsAny(s, "?#") {
		return nil, errors.New("must be a URL without path, query and fragment")
	}
	return u, nil
}

// hasHost tells whether a URL names a host, and no port that cannot be.
func hasHost(u *url.URL) bool {
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return u.Hostname() != ""
}

// Prefixes parses CIDRs; a plain address stands for itself alone.
func Prefixes(words []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(words))
	for _, w := range words {
		p, err := netip.ParsePrefix(w)
		if err != nil {
			a, err := netip.ParseAddr(w)
			if err != nil || a.Zone() != "" {
				return nil, errors.New("not a list of addresses and CIDRs such as 10.0.0.0/8")
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, unmapped(p))
	}
	return out, nil
}

// unmapped gives the range in the form in which addresses are compared with
// it: an IPv4 range is written as one, and what is beyond the mask is zero.
func unmapped(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// Text checks words for a user to read: they fit one message.
func Text(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("the text is empty")
	case len(s) > MaxText:
		return fmt.Errorf("the text is longer than the %d bytes that one message holds", MaxText)
	case !utf8.ValidString(s):
		return errors.New("the text is not UTF-8")
	}
	return nil
}

// Secret checks a secret of which no more is known than that it is one line.
func Secret(s string) (string, error) {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", errors.New("has a line break or another control character in it")
	}
	return s, nil
}

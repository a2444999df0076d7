package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// expiring is how long a certificate is to be good for still.
const expiring = 7 * 24 * time.Hour

// public makes a verification request as WeChat does when the URL is set in its
// console, to the address at which WeChat reaches this site.
func (x *examination) public(ctx context.Context) {
	u, err := url.Parse(x.URL)
	if x.URL == "" || err != nil {
		x.found("public.unknown")
		return
	}
	if x.running && !x.same {
		return // it would only be refused for what was found already
	}
	ctx, cancel := within(ctx)
	defer cancel()
	q := x.signed(time.Now())
	q.Set("echostr", "caddy-wechat-doctor")
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		x.found("public.unknown")
		return
	}
	req.Header.Set("User-Agent", "caddy-wechat")
	client := x.outside()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		x.unreached(u, err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		x.unreached(u, err)
		return
	}
	x.judge(u, resp, string(body))
}

// outside is a client as a stranger's would be: it takes no proxy, not even the
// environment's, verifies the certificate, and follows no redirect.
func (x *examination) outside() *http.Client {
	c := &http.Client{Transport: &http.Transport{TLSHandshakeTimeout: callTime}}
	if x.Outside != nil {
		*c = *x.Outside
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// unreached says why there was no answer.
func (x *examination) unreached(u *url.URL, err error) {
	var ue *url.Error
	for errors.As(err, &ue) {
		err = ue.Err
	}
	at := u.Scheme + "://" + u.Host
	var dns *net.DNSError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var cert *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case !x.running:
		x.found("public.not_running", at)
	case errors.As(err, &dns):
		x.found("public.dns", u.Hostname())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		x.found("public.expired", at)
	case errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &cert):
		x.found("public.certificate", at, err)
	case errors.As(err, new(tls.RecordHeaderError)), strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "HTTPS client"):
		x.found("public.no_tls", at, err)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		x.found("public.timeout", at)
	default:
		x.found("public.unreachable", at, err)
	}
}

// judge says what an answer means.
func (x *examination) judge(u *url.URL, resp *http.Response, body string) {
	at := u.Scheme + "://" + u.Host + u.Path
	switch s := resp.StatusCode; {
	case s == http.StatusOK && body == "caddy-wechat-doctor":
		x.answered(u, resp, at)
	case s == http.StatusOK && strings.Contains(body, "caddy-wechat-doctor"):
		x.found("public.altered", at)
	case s >= 300 && s < 400:
		where := "?"
		if to, err := resp.Location(); err == nil {
			where = to.Scheme + "://" + to.Host + to.Path
		}
		x.found("public.redirect", at, where)
	case s == http.StatusForbidden && x.Filtered:
		x.found("public.filtered", at)
	case s == http.StatusForbidden && x.same:
		x.found("public.in_between", at)
	case s == http.StatusForbidden:
		x.found("public.refused", at)
	case s >= 500:
		x.found("public.server", at, s)
	default:
		x.found("public.other", at, s)
	}
}

// answered looks at the certificate of a site that answers as it should.
func (x *examination) answered(u *url.URL, resp *http.Response, at string) {
	port := u.Port()
	odd := port != "" && port != "80" && port != "443"
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		until := resp.TLS.PeerCertificates[0].NotAfter
		// Caddy's certificates of a few hours or days are renewed in time.
		long := until.Sub(resp.TLS.PeerCertificates[0].NotBefore) > 2*expiring
		if left := until.Sub(x.now()); long && left < expiring {
			x.found("public.expiring", at, until.Format(time.DateOnly))
			return
		}
	}
	if odd {
		x.found("public.port", at, port)
		return
	}
	x.found("public.ok", at)
}

// clock compares this machine's clock with WeChat's, and finds out whether its API
// is reached at all.
func (x *examination) clock(ctx context.Context) (reached bool) {
	ctx, cancel := within(ctx)
	defer cancel()
	t := transport(x.Proxy)
	defer t.CloseIdleConnections()
	// A call without a token: it changes nothing, and counts for nothing.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.API+"/cgi-bin/getcallbackip", nil)
	if err != nil {
		x.found("api.unreachable", x.API, "not an address")
		return false
	}
	asked := x.now()
	resp, err := (&http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		var ue *url.Error
		for errors.As(err, &ue) {
			err = ue.Err
		}
		x.found("api.unreachable", x.API, err)
		return false
	}
	resp.Body.Close()
	answered := x.now()
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		x.found("clock.unknown")
		return true
	}
	// The Date header counts whole seconds, and is of some moment in between.
	var off time.Duration
	switch {
	case theirs.Add(time.Second).Before(asked):
		off = theirs.Add(time.Second).Sub(asked)
	case theirs.After(answered):
		off = theirs.Sub(answered)
	}
	const tolerated = 30 * time.Second
	switch {
	case off > tolerated:
		x.found("clock.slow", fmt.Sprint(off.Round(time.Second)))
	case off < -tolerated:
		x.found("clock.fast", fmt.Sprint((-off).Round(time.Second)))
	default:
		x.found("clock.ok")
	}
	return true
}

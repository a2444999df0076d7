package wechat

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

const (
	// maxReason bounds what is kept of a free text, in bytes.
	maxReason = 300
	redacted  = "[redacted]"
)

// Error is an error code that WeChat answered with.
type Error struct {
	// API is the path of the call, such as /cgi-bin/message/custom/send.
	API string
	// Code is errcode; Action tells what it asks for.
	Code int
	// Msg is errmsg, free text for a human, shortened. A token or secret in
	// it has been replaced.
	Msg string
	// RID is WeChat's id of the call, by which its diagnosis finds it; empty
	// if the answer named none.
	RID string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("calling %s: WeChat error %d: %s", e.API, e.Code, e.Msg)
}

var (
	ridPattern   = regexp.MustCompile(`\brid: ?([0-9A-Za-z-]{1,64})`)
	userPattern  = regexp.MustCompile(`//[^/@\s]+@`)
	tokenPattern = regexp.MustCompile(`(?i)(access_token|secret)["']?\s*[=:]\s*["']?[^\s"'&,;}]+`)
)

func (c *Client) newError(api string, code int, msg, token string) *Error {
	msg = c.scrub(strings.TrimSpace(cleanText(msg)), token)
	e := &Error{API: api, Code: code}
	if m := ridPattern.FindStringSubmatch(msg); m != nil {
		e.RID = m[1]
	}
	e.Msg = cutText(strings.ReplaceAll(msg, "\n", " "), maxReason)
	return e
}

// scrub replaces the account's secret, the token of the call, and whatever calls
// itself a token, in text that came from outside.
func (c *Client) scrub(s, token string) string {
	for _, secret := range []string{c.appSecret, token} {
		if secret == "" {
			continue
		}
		s = strings.ReplaceAll(s, secret, redacted)
		s = strings.ReplaceAll(s, url.QueryEscape(secret), redacted)
	}
	s = userPattern.ReplaceAllString(s, "//"+redacted+"@") // of a proxy
	return tokenPattern.ReplaceAllString(s, "$1="+redacted)
}

// tokenRefused says that a call was refused for its access token.
func (e *Error) tokenRefused() bool {
	switch e.Code {
	case 40001, 40014, 42001:
		return true
	}
	return false
}

// Action returns what the code asks the caller to do. A refusal to issue a token
// concerns the account, not the message at hand: it holds, unless it passes by
// itself.
func (e *Error) Action() Action {
	r := codes[e.Code]
	switch {
	case e.API == pathToken:
		if r.action == ActionRetry || r.action == ActionWait {
			return r.action
		}
		return ActionHold
	case r.action == 0:
		return ActionBug
	}
	return r.action
}

// Remedy returns what the operator should do, as one English sentence; empty if
// there is nothing to do.
func (e *Error) Remedy() string {
	switch {
	case e.Code == 40164:
		who := "this server's address"
		if a, ok := addressIn(e.Msg); ok {
			who = a.String()
		}
		return "Add " + who + " to the account's IP allowlist (WeChat developer platform: basic information, development key)."
	case e.API == pathToken && e.Code == 40001:
		return codes[40125].remedy
	case codes[e.Code].remedy != "":
		return codes[e.Code].remedy
	case e.Action() == ActionHold:
		return fmt.Sprintf("Look up error code %d in WeChat's documentation: it refuses this account an access token.", e.Code)
	}
	return ""
}

// addressIn finds the first IP address in a text such as "invalid ip 192.0.2.1
// ipv6 ::ffff:192.0.2.1, not in whitelist".
func addressIn(msg string) (netip.Addr, bool) {
	for _, word := range strings.FieldsFunc(msg, func(r rune) bool {
		return !strings.ContainsRune("0123456789abcdefABCDEF:.", r)
	}) {
		if a, err := netip.ParseAddr(strings.TrimRight(word, ".:")); err == nil {
			return a.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

// TransportError says that a call got no proper answer: the network failed, time
// ran out, or what came was not WeChat's JSON. It holds no URL and no token.
//
// errors.Is finds context.DeadlineExceeded and context.Canceled in it.
type TransportError struct {
	// API is the path of the call.
	API string
	// Status is the HTTP status of the answer; 0 if there was none.
	Status int

	reason    string
	cause     error
	ambiguous bool
}

// Error implements error.
func (e *TransportError) Error() string { return "calling " + e.API + ": " + e.reason }

// Unwrap returns the error of the context if that is what ended the call. Other
// causes are not handed on: they can quote what was sent or received.
func (e *TransportError) Unwrap() error { return e.cause }

// Ambiguous says whether the call may have taken effect all the same.
func (e *TransportError) Ambiguous() bool { return e.ambiguous }

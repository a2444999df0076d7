package wechat

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Encryption says which pushes a callback accepts.
type Encryption string

const (
	// Plain accepts plaintext pushes only.
	Plain Encryption = "plain"
	// Compatible accepts either; of a push that carries both forms the
	// encrypted one alone is used.
	Compatible Encryption = "compatible"
	// Safe accepts encrypted pushes only.
	Safe Encryption = "safe"
)

// What makes a callback refuse a request. All of them, and ErrDecrypt, are the
// same 403 towards the caller.
var (
	// ErrSignature says that `signature` or `msg_signature` is missing or
	// fits no token.
	ErrSignature = errors.New("signature does not match")
	// ErrStale says that the timestamp is further off than Freshness allows.
	ErrStale = errors.New("timestamp is not fresh")
	// ErrMode says that a push is plaintext where only encrypted ones are
	// accepted, or the reverse.
	ErrMode = errors.New("push is not in the accepted encryption mode")
)

// Query holds the parameters that WeChat adds to the callback URL. Those it did
// not send are empty.
type Query struct {
	Signature    string
	Timestamp    string // Unix seconds, as text: it is part of what is signed
	Nonce        string
	EncryptType  string // "aes" for an encrypted push; empty or "raw" for plaintext
	MsgSignature string // signs the cipher text, beside Timestamp and Nonce
	EchoStr      string // GET only: what URL verification has to answer, raw
}

// ParseQuery reads WeChat's parameters out of a raw query. Parameters of others
// are ignored; one of WeChat's that is repeated or cannot be decoded is an error,
// because what was signed would be a matter of interpretation.
func ParseQuery(rawQuery string) (Query, error) {
	var q Query
	var seen [6]bool
	for rest := rawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		name, err := queryText(name)
		if err != nil {
			continue // no name of ours
		}
		i, field := q.field(name)
		if field == nil {
			continue
		}
		if seen[i] {
			return Query{}, fmt.Errorf("reading callback query: parameter %s is repeated", name)
		}
		seen[i] = true
		if *field, err = queryText(value); err != nil {
			return Query{}, fmt.Errorf("reading callback query: parameter %s cannot be decoded", name)
		}
	}
	return q, nil
}

// queryText is url.QueryUnescape, quicker where there is nothing to do.
func queryText(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

func (q *Query) field(name string) (int, *string) {
	switch name {
	case "signature":
		return 0, &q.Signature
	case "timestamp":
		return 1, &q.Timestamp
	case "nonce":
		return 2, &q.Nonce
	case "encrypt_type":
		return 3, &q.EncryptType
	case "msg_signature":
		return 4, &q.MsgSignature
	case "echostr":
		return 5, &q.EchoStr
	}
	return -1, nil
}

// Callback holds the settings by which the requests of one account are judged.
// They are not changed while it is in use.
type Callback struct {
	// Tokens sign requests: the current one first, then those still accepted
	// while rotating. Empty ones are ignored.
	Tokens []string
	// Ciphers open pushes: the current one first, then those still accepted
	// while rotating. All are of the same AppID. Nil ones are ignored.
	Ciphers []*Cipher
	// Encryption says which pushes are accepted. Anything but the three
	// known values accepts none.
	Encryption Encryption
	// Freshness is how far the timestamp may be off, in either direction.
	// Zero leaves it unchecked; WeChat itself names no limit.
	Freshness time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// String hides the tokens and ciphers.
func (c Callback) String() string { return "wechat.Callback(" + string(c.Encryption) + ")" }

// GoString is String, for %#v.
func (c Callback) GoString() string { return c.String() }

// Verify checks `signature` and the freshness of a request, which takes no body:
// for a GET that is all, for a POST it comes before the body is read, and Open
// after. It returns ErrSignature or ErrStale.
func (c *Callback) Verify(q Query) error {
	// Without this rule one signed triple could be cut up anew: what is
	// signed is a concatenation.
	if q.Signature == "" || q.Timestamp == "" || q.Nonce == "" {
		return ErrSignature
	}
	if _, ok := matchToken(c.Tokens, q.Signature, q.Timestamp, q.Nonce, nil); !ok {
		return ErrSignature
	}
	return c.fresh(q.Timestamp)
}

func (c *Callback) fresh(timestamp string) error {
	if c.Freshness <= 0 {
		return nil
	}
	// Digits alone, and few enough that no duration overflows.
	if len(timestamp) > 11 || !isDigits(timestamp) {
		return ErrStale
	}
	sec, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return ErrStale
	}
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	if off := now().Sub(time.Unix(sec, 0)); off > c.Freshness || off < -c.Freshness {
		return ErrStale
	}
	return nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

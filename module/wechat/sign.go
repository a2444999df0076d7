package wechat

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"slices"
)

const (
	// signatureSize is the length of a signature, SHA-1 in hex.
	signatureSize = 2 * sha1.Size
	// signedRoom is what fits on the stack of what is signed: token, timestamp
	// and nonce, and the cipher text of an ordinary message.
	signedRoom = 1024
)

// Sign returns the lower-hex SHA-1 of the parts, sorted byte-wise and
// concatenated: with token, timestamp and nonce it is the query parameter
// `signature`, with the Encrypt text as a fourth part `msg_signature`
// (WeChat: Message Push, Message encryption).
func Sign(parts ...string) string {
	// Four parts at most in practice: the copy stays on the stack.
	var room [4]string
	sorted := append(room[:0], parts...)
	slices.Sort(sorted)

	var bytes [256]byte
	buf := bytes[:0]
	for _, p := range sorted {
		buf = append(buf, p...)
	}
	sum := digest(buf)
	return string(sum[:])
}

// sign is Sign for what occurs: text is the Encrypt text, or nothing. buf is room
// to concatenate in.
func sign(buf []byte, token, timestamp, nonce string, text []byte) [signatureSize]byte {
	parts := [...]string{token, timestamp, nonce}
	slices.Sort(parts[:])

	buf = buf[:0]
	for _, p := range parts {
		if string(text) < p {
			buf = append(buf, text...)
			text = nil
		}
		buf = append(buf, p...)
	}
	return digest(append(buf, text...))
}

func digest(b []byte) (text [signatureSize]byte) {
	sum := sha1.Sum(b)
	hex.Encode(text[:], sum[:])
	return text
}

// matchToken returns the index of the token under which timestamp, nonce and text
// sign to want, and whether there is one. Every token is tried whatever the
// earlier ones gave, so that the time taken does not tell which one fits. An empty
// token, left over from an optional setting, never fits: anyone could sign with it.
func matchToken(tokens []string, want, timestamp, nonce string, text []byte) (int, bool) {
	if len(want) != signatureSize {
		return -1, false
	}
	var wanted [signatureSize]byte
	copy(wanted[:], want)
	var bytes [signedRoom]byte
	buf := bytes[:]
	if n := len(timestamp) + len(nonce) + len(text); n > signedRoom-128 { // less a long token
		buf = make([]byte, n+128)
	}
	found := -1
	for i, t := range tokens {
		sum := sign(buf, t, timestamp, nonce, text)
		same := subtle.ConstantTimeCompare(sum[:], wanted[:]) == 1
		if same && t != "" && found < 0 {
			found = i
		}
	}
	return found, found >= 0
}

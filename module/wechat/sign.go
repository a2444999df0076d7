package wechat

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"slices"
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

	n := 0
	for _, p := range sorted {
		n += len(p)
	}
	buf := make([]byte, 0, n)
	for _, p := range sorted {
		buf = append(buf, p...)
	}
	sum := sha1.Sum(buf)
	return hex.EncodeToString(sum[:])
}

// matchToken returns the index of the token under which parts sign to want, and
// whether there is one. Every token is tried whatever the earlier ones gave, so
// that the time taken does not tell which one fits. An empty token, left over
// from an optional setting, never fits: anyone could sign with it.
func matchToken(tokens []string, want string, parts ...string) (int, bool) {
	found := -1
	all := make([]string, len(parts)+1)
	copy(all[1:], parts)
	for i, t := range tokens {
		all[0] = t
		same := subtle.ConstantTimeCompare([]byte(Sign(all...)), []byte(want)) == 1
		if same && t != "" && found < 0 {
			found = i
		}
	}
	return found, found >= 0
}

package simulator

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf16"
)

const (
	bpMaxFid      = 70
	bpULIDLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	bpTimeFormat  = "2006-01-02T15:04:05.000Z"
)

// bpULIDs makes the internal ids: a prefix and a ULID, ascending also within a millisecond. Not safe
// for concurrent use.
type bpULIDs struct {
	ms uint64
	hi uint16
	lo uint64
}

func (u *bpULIDs) next(prefix string, now time.Time) string {
	if ms := uint64(now.UnixMilli()); ms > u.ms {
		u.ms = ms
		var random [10]byte
		_, _ = rand.Read(random[:]) // never fails
		u.hi = binary.BigEndian.Uint16(random[:]) >> 1
		u.lo = binary.BigEndian.Uint64(random[2:])
	} else if u.lo++; u.lo == 0 {
		u.hi++
	}
	var s [26]byte
	hi, lo := u.ms<<16|uint64(u.hi), u.lo
	for i := len(s) - 1; i >= 0; i-- {
		s[i] = bpULIDLetters[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return prefix + string(s[:])
}

// bpCheckFid applies the rules for an id of the client's own, which Botpress checks only when the id
// is first used: 70 UTF-16 units, letters, digits, "_", "-", "/" and backslash.
func bpCheckFid(id string) *bpFailure {
	if len(utf16.Encode([]rune(id))) > bpMaxFid {
		return bpAPIError(400, "InvalidPayload", "Fid length exceeds the maximum allowed length of 70")
	}
	for _, c := range id {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune(`_-/\`, c):
		default:
			return bpAPIError(400, "InvalidPayload", "Fid contains invalid characters")
		}
	}
	if id == "" {
		return bpAPIError(400, "InvalidPayload", "Fid contains invalid characters")
	}
	return nil
}

// bpErrorID looks like err_20260723141517x1A2B3C4D.
func bpErrorID(now time.Time) string {
	return "err_" + now.UTC().Format("20060102150405") + "x" + strings.ToUpper(bpRandomHex(4))
}

// bpTime is the JSON form of every timestamp: ISO 8601, UTC, milliseconds.
func bpTime(t time.Time) string { return t.UTC().Format(bpTimeFormat) }

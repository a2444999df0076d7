package botpress

import (
	"fmt"
	"strconv"
	"sync"
	"unicode/utf16"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MaxIDLength is the longest user or conversation id of our own making that Botpress takes, in characters.
	MaxIDLength = 70

	// MaxProfileLength is the longest user profile that Botpress takes, in UTF-16 units.
	MaxProfileLength = 1000

	keysKept = 4096 // per generation
)

// checkID refuses what Botpress would refuse, or would take and then never find again: ids travel as path
// segments that the server does not decode, so the slash and backslash it allows are of no use.
// The error does not repeat the id, which contains an openid.
func checkID(op, what, id string) error {
	if id == "" {
		return refuse(op, what+" id is empty")
	}
	for i := range len(id) {
		switch b := id[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '_', b == '-':
		default:
			return refuse(op, what+" id has a character at byte "+strconv.Itoa(i)+" that is not a letter, digit, - or _")
		}
	}
	if len(id) > MaxIDLength {
		return refuse(op, what+" id has "+strconv.Itoa(len(id))+" characters, at most "+strconv.Itoa(MaxIDLength)+" are allowed")
	}
	return nil
}

// checkProfile counts as JavaScript does, which never counts less than code points.
func checkProfile(op, profile string) error {
	n := 0
	for _, r := range profile {
		n += utf16.RuneLen(r)
	}
	if n > MaxProfileLength {
		return refuse(op, "profile has "+strconv.Itoa(n)+" characters, at most "+strconv.Itoa(MaxProfileLength)+" are allowed")
	}
	return nil
}

// keyring signs user keys and remembers the recent ones. A key has no expiry, so it never goes stale.
type keyring struct {
	secret []byte

	mu       sync.Mutex
	young    map[string]string // user id -> key
	old      map[string]string // the generation before; dropped when young is full
	capacity int
}

func newKeyring(secret string) *keyring {
	return &keyring{secret: []byte(secret), capacity: keysKept, young: make(map[string]string)}
}

// key returns the value of the x-user-key header for a user.
func (k *keyring) key(userID string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.young[userID]; ok {
		return s, nil
	}
	s, ok := k.old[userID]
	if !ok {
		// No iat: the same user always has the same key, and clocks do not matter.
		var err error
		s, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"id": userID}).SignedString(k.secret)
		if err != nil {
			return "", fmt.Errorf("signing user key: %w", err)
		}
	}
	if len(k.young) >= k.capacity {
		k.old, k.young = k.young, make(map[string]string)
	}
	k.young[userID] = s
	return s, nil
}

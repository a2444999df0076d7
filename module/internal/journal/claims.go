package journal

import (
	"sync"
	"time"
)

const (
	// claimsKept is how many claims are remembered at least, once there were so many; at most twice
	// that. WeChat repeats itself within seconds.
	claimsKept = 16_384

	// claimsFor is how long a claim is remembered at most.
	claimsFor = 10 * time.Minute
)

// claims remembers pushes that were claimed lately, and to whose rows nothing was added since, so
// that WeChat's retries need not be looked up in the database. What is not in here may be in there.
type claims struct {
	mu       sync.Mutex
	now, old generation
}

// generation is some thousands of claims. The older one is dropped as a whole.
type generation struct {
	byKey map[claimKey]claimed
	byID  map[int64]claimKey // the zero key: there is more to tell of the push
}

type claimKey struct{ account, key string }

type claimed struct {
	id int64
	at int64 // Unix milliseconds
}

// find returns the claim on a push that was claimed lately. A row is there as long as keep after it
// came, and longer.
func (c *claims) find(account, key string, now time.Time, keep time.Duration) (Claim, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.now.byKey[claimKey{account, key}]
	if !ok {
		k, ok = c.old.byKey[claimKey{account, key}]
	}
	if !ok || now.UnixMilli()-k.at >= min(keep, claimsFor).Milliseconds() {
		return Claim{}, false
	}
	return Claim{ID: k.id, Attempts: 1}, true
}

// note remembers a fresh claim that is durable.
func (c *claims) note(account, key string, id int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range []generation{c.now, c.old} {
		if _, ok := g.byID[id]; ok { // it has changed already
			return
		}
	}
	c.rollLocked()
	name := claimKey{account, key}
	c.now.byKey[name] = claimed{id, now.UnixMilli()}
	c.now.byID[id] = name
}

// changed forgets a claim: its row has an answer now, or another attempt. It may come before note.
func (c *claims) changed(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range []generation{c.now, c.old} {
		if name, ok := g.byID[id]; ok {
			delete(g.byKey, name)
			delete(g.byID, id)
		}
	}
	c.rollLocked()
	c.now.byID[id] = claimKey{}
}

// rollLocked begins a new generation when the present one is full.
func (c *claims) rollLocked() {
	if c.now.byKey != nil && len(c.now.byID) < claimsKept {
		return
	}
	c.old, c.now = c.now, generation{make(map[claimKey]claimed), make(map[int64]claimKey)}
}

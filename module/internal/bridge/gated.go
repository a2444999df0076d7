package bridge

import "sync"

// triers is how many users are woken when one call may be tried: some of them may
// not need it any more.
const triers = 16

// gated are the users whose replies wait for the gate towards WeChat to open. They
// do not keep their lanes meanwhile.
type gated struct {
	wake func(openid string) bool // false if nothing waits for the user any more

	mu sync.Mutex
	by map[string]struct{}
}

func (gd *gated) add(openid string) {
	gd.mu.Lock()
	defer gd.mu.Unlock()
	if gd.by == nil {
		gd.by = make(map[string]struct{})
	}
	gd.by[openid] = struct{}{}
}

// news is called when the gate opens, or lets one try. It tells whether anybody was
// woken.
func (gd *gated) news(opened bool) (woken bool) {
	gd.mu.Lock()
	defer gd.mu.Unlock()
	n := 0
	for openid := range gd.by {
		if !opened && n == triers {
			break
		}
		delete(gd.by, openid)
		if gd.wake(openid) {
			n++
		}
	}
	return n > 0
}

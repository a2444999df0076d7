package bridge

import (
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// outbox is what is remembered of a user's waiting replies between two looks at
// them. All of it can be made again from the journal. It belongs to the user's
// lane.
type outbox struct {
	openid     string
	q          []journal.Reply     // that are being looked at
	unfinished int                 // of q, how many are not known to be done with
	rendered   map[int64]*rendered // by reply
	failed     map[int64]bool      // of which parts were refused, and are dead letters
	settled    time.Time           // what was received up to here waits for nothing any more
	limit      int                 // bytes of one text, once WeChat found one too long; 0 = as usual

	wait    backoff
	faults  int       // how often an operator's fault was met
	retryAt time.Time // not before this, after trouble
	under   *inForce  // the configuration that met it: with another one it is tried at once

	mu    sync.Mutex
	timer *time.Timer
}

// outboxes are those of the users for whom something waits.
type outboxes struct {
	mu sync.Mutex
	by map[string]*outbox
}

// open gives a user's outbox to the user's lane.
func (os *outboxes) open(openid string) *outbox {
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.by == nil {
		os.by = make(map[string]*outbox)
	}
	ob := os.by[openid]
	if ob == nil {
		ob = &outbox{openid: openid, rendered: make(map[int64]*rendered), failed: make(map[int64]bool)}
		os.by[openid] = ob
	}
	ob.later(0, nil)
	return ob
}

// close says that nothing waits for the user any more.
func (os *outboxes) close(openid string) {
	os.mu.Lock()
	defer os.mu.Unlock()
	delete(os.by, openid)
}

// get is a user's outbox, nil if nothing waits.
func (os *outboxes) get(openid string) *outbox {
	os.mu.Lock()
	defer os.mu.Unlock()
	return os.by[openid]
}

// users are all for whom something waits.
func (os *outboxes) users() []string {
	os.mu.Lock()
	defer os.mu.Unlock()
	all := make([]string, 0, len(os.by))
	for openid := range os.by {
		all = append(all, openid)
	}
	return all
}

// messageID is the bot's id of a reply that is being looked at, for the trace. Only
// the user's lane may ask.
func (os *outboxes) messageID(openid string, reply int64) string {
	if ob := os.get(openid); ob != nil {
		for i := range ob.q {
			if ob.q[i].ID == reply {
				return ob.q[i].MessageID
			}
		}
	}
	return ""
}

// later calls wake after a time; whatever was to be called before is not.
func (ob *outbox) later(d time.Duration, wake func()) {
	ob.mu.Lock()
	defer ob.mu.Unlock()
	if ob.timer != nil {
		ob.timer.Stop()
		ob.timer = nil
	}
	if wake != nil {
		ob.timer = time.AfterFunc(d, wake)
	}
}

// parts are those of a reply that are not sent yet, the first one cut where the
// last message ended.
func (ob *outbox) parts(s *Settings, r *journal.Reply) *rendered {
	if had := ob.rendered[r.ID]; had != nil {
		return had
	}
	// Should that panic, it has no parts, and is a dead letter.
	rd := &rendered{dead: "payload cannot be handled"}
	ob.rendered[r.ID] = rd
	*rd = *render(s, r.MessageID, r.Payload)
	return rd
}

// ok notes that a message went out: whatever trouble there was is over.
func (ob *outbox) ok() {
	ob.wait.reset()
	ob.faults, ob.retryAt = 0, time.Time{}
}

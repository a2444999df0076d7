package bridge

import (
	"slices"
	"sync"
)

// alarmsKept is how many alarms wait for somebody who is busy with the one before.
const alarmsKept = 256

// alarming are the steps that an operator may want to hear of at once.
var alarming = [stepCount]bool{
	holdHeld: true, holdReleased: true, pushDead: true, replyDead: true, accountPassiveOnly: true, accountMayPush: true,
}

// alarms goes to whoever listens, the one who came last.
var alarms struct {
	mu        sync.Mutex
	listeners []*Alarms
}

// Alarms are the decisions that an operator may want to hear of at once: holds and
// their ends, dead letters, whether the account may push. While one configuration
// follows another, only the newer one hears of them.
type Alarms struct {
	queue  chan Decision
	missed int
}

// ListenToAlarms begins to listen. Close must be called in the end.
func ListenToAlarms() *Alarms {
	a := &Alarms{queue: make(chan Decision, alarmsKept)}
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	alarms.listeners = append(alarms.listeners, a)
	return a
}

// C are the alarms, in order. It is never closed.
func (a *Alarms) C() <-chan Decision { return a.queue }

// Missed is how many alarms found no room since it was last asked.
func (a *Alarms) Missed() int {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	n := a.missed
	a.missed = 0
	return n
}

// Close ends the listening. What was not read goes to whoever listens then.
func (a *Alarms) Close() {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	alarms.listeners = slices.DeleteFunc(alarms.listeners, func(o *Alarms) bool { return o == a })
	for {
		select {
		case d := <-a.queue:
			alarmLocked(d)
		default:
			return
		}
	}
}

// alarm waits for nobody.
func alarm(d Decision) {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	alarmLocked(d)
}

func alarmLocked(d Decision) {
	if len(alarms.listeners) == 0 {
		return
	}
	a := alarms.listeners[len(alarms.listeners)-1]
	select {
	case a.queue <- d:
	default:
		a.missed++
	}
}

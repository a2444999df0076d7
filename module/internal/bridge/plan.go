package bridge

import (
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// leastCut is how much of a text is at least worth being cut off for the room that
// a message has left.
const leastCut = 200

// maxSettle is how long the first of some replies waits for the others at most.
const maxSettle = 1500 * time.Millisecond

// road is what becomes of a reply now.
type road string

// The roads, and what is done instead of taking one.
const (
	roadPassive road = "passive" // the answer to a callback
	roadPush    road = "push"    // a customer-service message
	roadPark    road = "park"    // wait for the user
	roadDrop    road = "drop"    // there is no user any more
	roadPrepare road = "prepare" // make it ready to go out
	roadWait    road = "wait"
)

// whySettling is that what waits may still change its order.
const whySettling = "settling"

// piece is one WeChat message that a reply comes to, if nothing is merged.
type piece struct {
	text     string // empty for media
	media    bool
	ready    bool // nothing is to be uploaded for it first
	joins    bool // goes on in the middle of the text before it
	received time.Time
}

// situation is all that a decision depends on.
type situation struct {
	now    time.Time
	pieces []piece // what waits, in order; at least one
	more   bool    // and there is more behind it

	window  *opening // the oldest that may take a reply, nil for none
	windows int      // how many may
	pushes  bool     // the account may push
	held    bool     // but WeChat's API is held, and nothing is pushed until that is over
	left    int      // how much of the allowance is left
	gone    bool     // the user has unsubscribed

	settle    time.Duration
	settled   time.Time // what was received up to here waits for nothing any more
	pushAt    time.Time // not before this
	passiveAt time.Time
	behind    time.Time // when the last passive answer should have reached the user

	limit  int    // bytes of one text
	notice string // that more waits
	label  string // at the end of a passive text
}

// move is a decision.
type move struct {
	road  road
	why   string
	until time.Time // for roadWait; zero: until something happens

	n      int    // how many pieces go into the message
	cut    int    // of the last one's text, how many bytes; 0 for all
	text   string // of the message; empty for media
	notice bool   // the text ends with the notice that more waits
	merged bool
}

// decide says what is to be done with the first of what waits.
func (s *situation) decide() move {
	if s.gone {
		return move{road: roadDrop, why: "user has unsubscribed", n: len(s.pieces)}
	}
	live := s.window != nil && s.window.live
	final := live && s.window.final
	if until := s.settling(); until.After(s.now) && !final {
		return move{road: roadWait, why: whySettling, until: until}
	}
	switch {
	case live && !s.pushes && !final && s.onlyOld() && !s.more: // else the new one may be behind them, unseen
		return move{road: roadWait, why: "parked replies wait for the new one"}
	case live && s.passiveAt.After(s.now) && !final:
		return move{road: roadWait, why: "pace", until: s.passiveAt}
	case live && s.behind.After(s.now) && s.canPush():
		// On another connection it might overtake that answer.
		return move{road: roadWait, why: "an answer is on its way", until: s.behind}
	case live && !s.pieces[0].ready, !live && s.canPush() && !s.pieces[0].ready:
		return move{road: roadPrepare}
	case live:
		return s.message(roadPassive, "window is open")
	case s.window != nil && !s.pushes:
		return move{road: roadWait, why: "wechat will ask again", until: s.window.until}
	case !s.pushes:
		return move{road: roadPark, why: "no window is open, and the account may not push"}
	case s.left <= 0:
		return move{road: roadPark, why: "allowance is spent or over"}
	case s.pushAt.After(s.now):
		return move{road: roadWait, why: "pace", until: s.pushAt}
	}
	if over := s.turnOver(); s.left == 1 && over.After(s.now) {
		return move{road: roadWait, why: "last message is kept in hand", until: over}
	}
	return s.message(roadPush, "no window is open")
}

func (s *situation) canPush() bool { return s.pushes && s.left > 0 }

// settling is until when what goes out next may still change its order. Where the
// account may push, that is the first piece; where one answer has to hold all, any.
func (s *situation) settling() time.Time {
	if s.settle <= 0 {
		return time.Time{}
	}
	var oldest time.Time // of what is not settled
	for i, p := range s.pieces {
		if !p.received.After(s.settled) || p.received.After(s.now) { // the clock was set back
			if s.pushes && i == 0 {
				return time.Time{}
			}
			continue
		}
		if oldest.IsZero() || p.received.Before(oldest) {
			oldest = p.received
		}
	}
	if oldest.IsZero() {
		return time.Time{}
	}
	until := s.turnOver()
	if most := oldest.Add(maxSettle); most.Before(until) {
		return most
	}
	return until
}

// settles is up to when what was received waits for nothing any more, once something
// else was decided about the first of it: all, if the bot seems to have said all, if
// the window ends, or where one answer has to hold all. Else what came later may
// still find its place.
func (s *situation) settles() time.Time {
	ends := s.window != nil && s.window.live && s.window.final
	if s.pushes && !ends && s.turnOver().After(s.now) {
		return later(s.settled, s.pieces[0].received)
	}
	return later(s.settled, s.newest())
}

// newest is when the last of what waits was received.
func (s *situation) newest() time.Time {
	var at time.Time
	for _, p := range s.pieces {
		if p.received.After(at) {
			at = p.received
		}
	}
	return at
}

// turnOver is when the bot seems to have said all it wanted.
func (s *situation) turnOver() time.Time { return s.newest().Add(s.settle) }

// onlyOld tells whether nothing was received since the window was opened.
func (s *situation) onlyOld() bool { return s.newest().Before(s.window.opened) }

// slots is how many messages can go out from here on, the next one included. Nobody
// knows when an account that is held may push again: what an answer can hold goes by it.
func (s *situation) slots(on road) int {
	n := s.windows
	if s.pushes && (!s.held || on != roadPassive) {
		n += max(s.left, 0)
	}
	return n
}

// message makes the next message: the first piece, together with as many of
// those behind it as must go along for all to go out.
func (s *situation) message(on road, why string) move {
	m := move{road: on, why: why}
	slots := s.slots(on)
	want := 1 + max(len(s.pieces)-slots, 0)
	if s.more {
		want = len(s.pieces)
	}
	var suffix string
	if on == roadPassive && s.label != "" {
		suffix = "\n" + s.label
	}
	s.fill(&m, want, suffix)
	if s.pieces[0].media {
		return m
	}
	if s.announces(m, slots) {
		m.notice = true
		s.fill(&m, want, "\n"+s.notice+suffix)
		if last := &s.pieces[m.n-1]; m.cut > 0 && !outside(anchors.FindAllStringIndex(last.text, -1), m.cut) {
			m.notice = false // it leaves too little room for a link
			s.fill(&m, want, suffix)
		}
	}
	return m
}

// announces tells whether a message has to say that more waits: it is the last
// one, or the last one that can.
func (s *situation) announces(m move, slots int) bool {
	behind := len(s.pieces) - m.n
	if m.cut > 0 {
		behind++
	}
	rest := behind > 0 || s.more
	switch {
	case slots <= 1:
		return rest
	case slots == 2 && m.cut == 0 && behind > 0 && s.pieces[m.n].media:
		return behind > 1 || s.more
	}
	return false
}

// fill puts up to want pieces into the message, ending with the suffix.
func (s *situation) fill(m *move, want int, suffix string) {
	m.n, m.cut, m.text, m.merged = 1, 0, "", false
	front := &s.pieces[0]
	if front.media {
		return
	}
	room := max(min(s.limit, wechat.MaxTextBytes-len(suffix)), 1)
	text := front.text
	if len(text) > room {
		text = splitText(text, room)[0]
		m.cut = len(text)
	}
	for m.cut == 0 && m.n < want && m.n < len(s.pieces) && !s.pieces[m.n].media && s.ordered(m.n) {
		next := s.pieces[m.n].text
		if !s.pieces[m.n].joins {
			next = "\n\n" + next
		}
		if len(text)+len(next) > room {
			if left := room - len(text); s.pieces[m.n].joins && left >= leastCut {
				if part := splitText(next, left)[0]; outside(anchors.FindAllStringIndex(next, -1), len(part)) {
					text, m.cut, m.merged = text+part, len(part), true
					m.n++
				}
			}
			break
		}
		text += next
		m.n++
		m.merged = true
	}
	m.text = text + suffix
}

// ordered tells whether a piece may go along with what is before it: its place is
// settled.
func (s *situation) ordered(i int) bool {
	first := s.pieces[0].received
	return !s.pushes || first.After(s.settled) || !s.pieces[i].received.After(s.settles())
}

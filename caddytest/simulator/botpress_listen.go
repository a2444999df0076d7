package simulator

import (
	"net/http"
	"sync"
	"time"
)

const bpStreamBuffer = 1024

// bpStream is one listener: a conversation and a user.
type bpStream struct {
	signals chan bpStreamed
	once    sync.Once
	gone    chan struct{}
	abrupt  bool // set before gone is closed
	tear    bool // what comes next is cut in its middle; under Botpress.mu
}

// bpStreamed is one event of a stream.
type bpStreamed struct {
	data string
	torn bool
}

// send never blocks: a listener that does not read is cut off. Botpress.mu is held.
func (s *bpStream) send(body []byte) {
	select {
	case s.signals <- bpStreamed{string(body), s.tear}:
	default:
		s.end(true)
	}
}

// end closes the stream, after what was sent before; abrupt breaks the connection instead.
func (s *bpStream) end(abrupt bool) {
	s.once.Do(func() {
		s.abrupt = abrupt
		close(s.gone)
	})
}

// listen serves the event stream of a conversation, as it looks behind the streaming proxy: the
// origin's "{}" first with no line break, every event named "message", "ping" for silence, no ids,
// no replay.
func (b *Botpress) listen(w http.ResponseWriter, r *http.Request, c *bpCall, down <-chan struct{}) {
	if fail := b.authenticate(r, c); fail != nil {
		b.writeFailure(w, fail)
		return
	}
	stream, leave, fail := b.subscribe(c)
	if fail != nil {
		b.writeFailure(w, fail)
		return
	}
	defer leave()
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	write := func(s string) bool {
		_, err := w.Write([]byte(s))
		return err == nil && rc.Flush() == nil
	}
	if !write("{}") {
		return
	}
	ping := time.NewTimer(b.cfg.Ping)
	defer ping.Stop()
	for {
		select {
		case e := <-stream.signals:
			text := bpEventText(e.data)
			if e.torn {
				write(text[:len(text)/2])
				bpReset(w)
				return
			}
			if !write(text) {
				return
			}
			ping.Reset(b.cfg.Ping)
		case <-ping.C:
			if !b.isSilent() && !write(bpEventText("ping")) {
				return
			}
			ping.Reset(b.cfg.Ping)
		case <-stream.gone:
			if stream.abrupt {
				bpReset(w)
				return
			}
			for len(stream.signals) > 0 {
				write(bpEventText((<-stream.signals).data))
			}
			return
		case <-down:
			bpReset(w)
			return
		case <-b.ctx.Done():
			bpReset(w)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func bpEventText(data string) string { return "event: message\ndata: " + data + "\n\n" }

// subscribe opens a stream for the caller.
func (b *Botpress) subscribe(c *bpCall) (*bpStream, func(), *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[c.op.name]++
	c.me = b.store.user(c.caller)
	conv, fail := b.join(c, c.params[0], bpNotIn)
	if fail != nil {
		return nil, nil, fail
	}
	s := &bpStream{signals: make(chan bpStreamed, bpStreamBuffer), gone: make(chan struct{})}
	me := c.me
	conv.streams[s] = struct{}{}
	me.streams[s] = struct{}{}
	b.wake()
	return s, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(conv.streams, s)
		delete(me.streams, s)
		b.wake()
	}, nil
}

func (b *Botpress) isSilent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.silent
}

// DropStreams breaks all open streams of a conversation, of all if it is empty. It reports how many.
func (b *Botpress) DropStreams(conversation string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.store.conversations {
		if conversation != "" && c != b.store.conversation(conversation) {
			continue
		}
		for s := range c.streams {
			s.end(true)
			n++
		}
	}
	return n
}

// TearStreams has all open streams of a conversation, of all if it is empty, break in the middle of
// their next event. It reports how many.
func (b *Botpress) TearStreams(conversation string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.store.conversations {
		if conversation != "" && c != b.store.conversation(conversation) {
			continue
		}
		for s := range c.streams {
			s.tear = true
			n++
		}
	}
	return n
}

// SilenceStreams makes all streams say nothing more, pings included, while their connections stay
// open. Signals of that time are lost to them.
func (b *Botpress) SilenceStreams(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent = on
}

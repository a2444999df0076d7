package main

import (
	"bytes"
	"fmt"
)

// success is what a push is answered that needs no reply yet.
const success = "success"

// feed is what one connection says. It is for one goroutine.
type feed interface {
	// next is the next request, valid until the next call; false if there is none.
	next() (raw []byte, ok bool)

	// judge looks at the answer to it.
	judge(a answer) error
}

// walk goes through the messages of some users: the first of each, the second of
// each, and so on.
type walk struct {
	first, count int // the users
	k            int // messages so far
	limit        int // at most; 0: no limit
}

// step is the next message.
func (w *walk) step() (message, bool) {
	if w.limit > 0 && w.k >= w.limit {
		return message{}, false
	}
	m := w.at(w.k)
	w.k++
	return m, true
}

// at is the message number k.
func (w *walk) at(k int) message { return message{w.first + k%w.count, k / w.count} }

// wantSuccess is embedded by feeds of pushes.
type wantSuccess struct{}

func (wantSuccess) judge(a answer) error { return judgeBody(a, success) }

func judgeBody(a answer, want string) error {
	if a.status != 200 || string(a.body) != want {
		return fmt.Errorf("answered %d %.60q, want 200 %q", a.status, a.body, want)
	}
	return nil
}

// fixed says the same again and again.
type fixed struct {
	raw  []byte
	want string
}

func (f *fixed) next() ([]byte, bool) { return f.raw, true }
func (f *fixed) judge(a answer) error { return judgeBody(a, f.want) }

// pushes are plaintext pushes, made as they go: to put numbers into a template
// costs less than to fetch a prepared request from memory.
type pushes struct {
	wantSuccess
	walk
	t *template
}

func (f *pushes) next() ([]byte, bool) {
	m, ok := f.step()
	if !ok {
		return nil, false
	}
	return f.t.fill(m), true
}

// prepared are pushes that were made ahead.
type prepared struct {
	wantSuccess
	walk
	raws [][]byte
}

func (f *prepared) next() ([]byte, bool) {
	if f.k >= len(f.raws) {
		return nil, false
	}
	raw := f.raws[f.k]
	f.k++
	return raw, true
}

// prepare makes so many encrypted pushes.
func prepare(s *sealer, w walk, n int) (*prepared, error) {
	f := &prepared{walk: w, raws: make([][]byte, n)}
	for k := range n {
		raw, err := s.seal(w.at(k))
		if err != nil {
			return nil, err
		}
		f.raws[k] = raw
	}
	return f, nil
}

// replied are pushes whose answer may be the bot's reply.
type replied struct {
	pushes
	last     message
	passive  int // answers that were the reply
	silent   int // answers that were success only
	received func(message)
}

func (f *replied) next() ([]byte, bool) {
	m, ok := f.step()
	if !ok {
		return nil, false
	}
	f.last = m
	return f.t.fill(m), true
}

func (f *replied) judge(a answer) error {
	if a.status == 200 && (len(a.body) == 0 || string(a.body) == success) {
		f.silent++
		return nil
	}
	if a.status != 200 || !bytes.HasPrefix(a.body, []byte("<xml>")) {
		return fmt.Errorf("answered %d %.60q, want a passive reply", a.status, a.body)
	}
	f.passive++
	for m := range messagesIn(a.body) {
		if m.user != f.last.user {
			return fmt.Errorf("answered the reply to user %d, want that to user %d", m.user, f.last.user)
		}
		f.received(m)
	}
	return nil
}

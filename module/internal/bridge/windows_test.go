package bridge

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// heard is what a callback has been told, "" if nothing yet.
func heard(cb *callback) string {
	select {
	case w := <-cb.say:
		switch {
		case w.silent:
			return "silent"
		case w.xml == nil:
			return "success"
		}
		return string(w.xml)
	default:
		return ""
	}
}

// TestWindows plays attempts, answers and endings, without a clock that runs.
func TestWindows(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	push := func(key string, attempt int) arrival {
		return arrival{key: key, openid: "u", attempt: attempt, fresh: true, limit: 10}
	}
	// enter must hold the callback.
	enter := func(t *testing.T, ws *windows, s float64, a arrival) *callback {
		t.Helper()
		cb, w := ws.enter(at(s), a)
		if cb == nil {
			t.Fatalf("not held: %+v", w)
		}
		return cb
	}
	oldest := func(t *testing.T, ws *windows, s float64, lapses bool, key string, n int) *opening {
		t.Helper()
		o, got := ws.oldest(at(s), "u", lapses)
		if got != n || (o == nil) != (key == "") || o != nil && o.w.key != key {
			t.Fatalf("after %v s: %d windows, oldest %+v; want %d, oldest %q", s, got, o, n, key)
		}
		return o
	}
	is := func(t *testing.T, what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}

	t.Run("the oldest takes the answer", func(t *testing.T) {
		ws := newWindows()
		a, b := enter(t, ws, 0, push("a", 1)), enter(t, ws, 1, push("b", 1))
		written := ws.give(oldest(t, ws, 1, false, "a", 2).w, []byte("x"))
		is(t, "a", heard(a), "x")
		is(t, "b", heard(b), "")
		oldest(t, ws, 1, false, "b", 1) // a is being answered
		ws.written(at(1), a, nil)
		if err := <-written; err != nil {
			t.Error(err)
		}
		oldest(t, ws, 1, false, "b", 1)
	})
	t.Run("a retry after the answer gets the same", func(t *testing.T) {
		ws := newWindows()
		a := enter(t, ws, 0, push("a", 1))
		ws.give(oldest(t, ws, 0, false, "a", 1).w, []byte("x"))
		ws.written(at(0), a, nil)
		ws.leave(at(0), a)
		cb, w := ws.enter(at(5), push("a", 2))
		if cb != nil || string(w.xml) != "x" {
			t.Errorf("held %v, told %+v", cb != nil, w)
		}
		// Once nobody can ask again, it is forgotten.
		if cb, _ = ws.enter(at(30), push("a", 3)); cb == nil {
			t.Error("still remembered after 30 s")
		}
	})
	t.Run("the newest attempt carries the answer", func(t *testing.T) {
		for silent, want := range map[bool]string{true: "silent", false: "success"} {
			ws := newWindows()
			first, again := push("a", 1), push("a", 2)
			again.silent = silent
			a, b := enter(t, ws, 0, first), enter(t, ws, 1, again)
			is(t, "the first", heard(a), want)
			ws.give(oldest(t, ws, 1, false, "a", 1).w, []byte("x"))
			is(t, "the second", heard(b), "x")
		}
	})
	t.Run("an attempt that comes while the answer is being written", func(t *testing.T) {
		for _, err := range []error{nil, errors.New("broken pipe")} {
			ws := newWindows()
			a := enter(t, ws, 0, push("a", 1))
			ws.give(oldest(t, ws, 0, false, "a", 1).w, []byte("x"))
			b := enter(t, ws, 1, push("a", 2))
			oldest(t, ws, 1, true, "", 0)
			ws.written(at(1), a, err)
			ws.leave(at(1), a)
			if err == nil {
				is(t, "the second, the first was written", heard(b), "x")
				continue
			}
			is(t, "the second, the first was not written", heard(b), "")
			if !oldest(t, ws, 1, false, "a", 1).live {
				t.Error("the window is not live")
			}
		}
	})
	t.Run("a callback that leaves with the answer in its hands", func(t *testing.T) {
		ws := newWindows()
		a := enter(t, ws, 0, push("a", 1))
		written := ws.give(oldest(t, ws, 0, false, "a", 1).w, []byte("x"))
		ws.leave(at(1), a)
		if err := <-written; err == nil {
			t.Error("written, though WeChat had hung up")
		}
		oldest(t, ws, 1, false, "", 0)
		oldest(t, ws, 1, true, "a", 1) // another attempt may come
		oldest(t, ws, 9, true, "", 0)  // none has
	})
	t.Run("an ended window", func(t *testing.T) {
		ws := newWindows()
		a := enter(t, ws, 0, push("a", 1))
		if !ws.end(at(4), a, nil) || ws.end(at(4), a, nil) {
			t.Error("not ended just once")
		}
		if ws.give(a.w, []byte("x")) != nil {
			t.Error("takes an answer")
		}
		if cb, w := ws.enter(at(5), push("a", 2)); cb != nil || w.xml != nil {
			t.Errorf("a retry: held %v, told %+v; want success", cb != nil, w)
		}
	})
	t.Run("a message closes the windows of events", func(t *testing.T) {
		ws := newWindows()
		event := push("e", 1)
		event.event = true
		e, m := enter(t, ws, 0, event), enter(t, ws, 1, push("m", 1))
		is(t, "the event", heard(e), "success")
		is(t, "the message", heard(m), "")
		oldest(t, ws, 1, true, "m", 1)
	})
	t.Run("a lapse", func(t *testing.T) {
		ws := newWindows()
		a := enter(t, ws, 0, push("a", 1))
		if !ws.lapse(a) {
			t.Fatal("did not lapse")
		}
		ws.leave(at(4), a)
		if o := oldest(t, ws, 4, true, "a", 1); o.live || !o.until.Equal(at(8)) {
			t.Errorf("live %v, until %v", o.live, o.until)
		}
		oldest(t, ws, 4, false, "", 0) // of no use to those who can push
		b := enter(t, ws, 5, push("a", 2))
		ws.last(b)
		if o := oldest(t, ws, 5, true, "a", 1); !o.live || !o.final {
			t.Errorf("live %v, final %v", o.live, o.final)
		}
	})
	t.Run("bounds", func(t *testing.T) {
		ws := newWindows()
		for i := range 10 {
			enter(t, ws, 0, push(fmt.Sprint(i), 1))
		}
		if cb, w := ws.enter(at(0), push("more", 1)); cb != nil || w.full == "" {
			t.Errorf("held %v, told %+v", cb != nil, w)
		}
		late := push("late", 1)
		late.fresh = false
		if cb, w := ws.enter(at(0), late); cb != nil || w.full != "" || w.xml != nil {
			t.Errorf("an old push: held %v, told %+v; want success", cb != nil, w)
		}
	})
	t.Run("nothing is kept", func(t *testing.T) {
		ws := newWindows()
		for i := range 100 {
			cb := enter(t, ws, float64(i), push(fmt.Sprint(i), 1))
			switch i % 3 {
			case 0:
				ws.end(at(float64(i)), cb, nil)
			case 1:
				ws.lapse(cb)
			case 2:
				ws.give(cb.w, []byte("x"))
			}
			ws.leave(at(float64(i)), cb)
		}
		ws.enter(at(1000), arrival{key: "last", openid: "v", limit: 10})
		if diff := cmp.Diff([4]int{}, [4]int{len(ws.byKey), len(ws.byUser), len(ws.over), ws.held}); diff != "" {
			t.Errorf("windows, users, ended, held (-want +got):\n%s", diff)
		}
	})
}

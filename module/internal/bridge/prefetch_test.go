package bridge

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// files is how many files of users are kept.
func (sc *scene) files() int {
	sc.t.Helper()
	return sc.count("media.db", "SELECT COUNT(*) FROM media WHERE done = 1")
}

// pushed has WeChat push something, which is answered at once.
func (sc *scene) pushed(p simulator.SimPush) {
	sc.t.Helper()
	began := time.Now()
	if d := sc.wechat.Push(sc.t.Context(), p); !d.Accepted() {
		sc.t.Errorf("push: %+v", d)
	}
	if took := time.Since(began); took > 0 {
		sc.t.Errorf("the answer took %v", took)
	}
}

// kinds are what the bot got, without the names of files.
func kinds(all []string) (words []string) {
	for _, s := range all {
		if i := strings.Index(s, "/media/"); i > 0 {
			s = s[:i]
		}
		words = append(words, s)
	}
	return words
}

// TestPrefetch: files of messages that wait for the bot are fetched when they come, so that the bot gets
// them though WeChat has forgotten them by then.
func TestPrefetch(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc, bot := newFileScene(t, dir, func(s *Settings) { s.Limits.Lanes = 1 })
				defer sc.close()
				bot.down(true)
				sc.pushed(sc.wechat.Text(sceneUser, "first"))
				pushes := []simulator.SimPush{sc.wechat.Image(sceneUser), sc.wechat.Voice(sceneUser), sc.wechat.Video(sceneUser), sc.wechat.ShortVideo(sceneUser), sc.wechat.Image("oBob")}
				for _, p := range pushes {
					sc.pushed(p)
				}
				time.Sleep(time.Second)
				if n, calls := sc.files(), sc.wechat.CountCalls(mediaGet); n != 5 || calls < 5 {
					t.Errorf("%d files are kept after %d calls, want 5", n, calls)
				}
				calls := sc.wechat.CountCalls(mediaGet)
				time.Sleep(70 * time.Hour)
				sc.wechat.Fail(simulator.WeChatFault{Path: mediaGet, Code: 40007})
				if restart {
					sc.restart()
				}
				bot.down(false)
				time.Sleep(10 * time.Minute)
				if n := sc.wechat.CountCalls(mediaGet) - calls; n != 0 {
					t.Errorf("%d more calls", n)
				}
				const base = "https://bot.example.com/wechat"
				got := bot.got()
				if len(got) != 1+len(pushes) {
					t.Fatalf("the bot got %v", got)
				}
				at := slices.IndexFunc(got, func(turn string) bool { // another user's turn, which any of these may be
					_, data := sc.fetch(turn)
					return len(data) > 0 && bytes.Equal(data, fileIn(sc, pushes[len(pushes)-1]))
				})
				if at < 0 {
					t.Fatalf("the other user's file is missing in %v", got)
				}
				other := got[at]
				got = append(slices.Delete(got, at, at+1), other)
				want := []string{"text first", "image " + base, "audio " + base, "video " + base, "video " + base, "image " + base}
				if diff := cmp.Diff(want, kinds(got)); diff != "" {
					t.Fatalf("the bot got (-want +got):\n%s", diff)
				}
				for i, turn := range got[1:] {
					if _, data := sc.fetch(turn); len(data) == 0 || !bytes.Equal(data, fileIn(sc, pushes[i])) {
						t.Errorf("%s: %d bytes are served", turn, len(data))
					}
				}
			})
		})
	}
}

// TestPrefetchAgain: what could not be fetched when it came is fetched later, by the same process or the
// next, before its message has its turn.
func TestPrefetchAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		fault  simulator.WeChatFault
		calls  int           // at first
		mend   func(*scene)  // besides the fault
		within time.Duration // of that
	}{
		{"busy", simulator.WeChatFault{Path: mediaGet, Code: -1}, 2, func(*scene) {}, earlyAgain},
		{"cut", simulator.WeChatFault{Path: mediaGet, Cut: true}, 2, func(*scene) {}, earlyAgain},
		{"silent", simulator.WeChatFault{Path: mediaGet, Delay: time.Hour}, 2, func(*scene) {}, earlyAgain},
		{"quota", simulator.WeChatFault{Path: mediaGet, Code: 45009}, 1, func(*scene) {}, earlyAgain},
		{"restart", simulator.WeChatFault{Path: mediaGet, Code: -1}, 2, (*scene).restart, time.Second},
		{"not allowed", simulator.WeChatFault{Path: mediaGet, Code: 48001}, 1, (*scene).reload, time.Second},
		{"not allowed, a day", simulator.WeChatFault{Path: mediaGet, Code: 48001}, 1, func(*scene) {}, denialLasts + earlyAgain},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc, bot := newFileScene(t, dir, nil)
				defer sc.close()
				bot.down(true)
				sc.pushed(sc.wechat.Text(sceneUser, "first"))
				sc.wechat.Fail(tc.fault)
				sc.pushed(sc.wechat.Image(sceneUser))
				time.Sleep(20 * time.Second)
				if n := sc.wechat.CountCalls(mediaGet); n != tc.calls {
					t.Errorf("%d calls at first, want %d", n, tc.calls)
				}
				sc.wechat.ClearFaults()
				tc.mend(sc)
				time.Sleep(tc.within)
				if n := sc.files(); n != 1 {
					t.Errorf("%d files are kept after %v", n, tc.within)
				}
			})
		})
	}
}

// TestPrefetchBound: only so many files are fetched at once, all the same all of them, and nobody waits
// for them: neither WeChat nor another user's lane, with a file or without.
func TestPrefetchBound(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		sc.send(bot, sc.wechat.Image("oEve")) // there is a database
		bot.down(true)
		sc.pushed(sc.wechat.Text(sceneUser, "first"))
		sc.wechat.Fail(simulator.WeChatFault{Path: mediaGet, Delay: 3 * time.Second, Times: 5 * earlyAtOnce})
		for range 5 * earlyAtOnce {
			sc.pushed(sc.wechat.Image(sceneUser))
		}
		for round := range 5 {
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if n := sc.files() - 1; n != (round+1)*earlyAtOnce {
				t.Errorf("%d files after round %d, want %d", n, round+1, (round+1)*earlyAtOnce)
			}
		}
		bot.down(false)
		time.Sleep(10 * time.Minute)
		bot.down(true)
		sc.wechat.Fail(simulator.WeChatFault{Path: mediaGet, Delay: 3 * time.Second})
		sc.pushed(sc.wechat.Text(sceneUser, "second"))
		for range 2 * earlyAtOnce {
			sc.pushed(sc.wechat.Image(sceneUser))
		}
		time.Sleep(time.Second)
		sc.wechat.ClearFaults()
		bot.down(false)
		if got, took := sc.send(bot, sc.wechat.Image("oBob")); took > 500*time.Millisecond || !strings.Contains(got, "/media/") {
			t.Errorf("another user's file took %v: %s", took, got)
		}
	})
}

// TestPrefetchDown: while WeChat does not answer, it is not asked for all that waits again and again.
func TestPrefetchDown(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		bot.down(true)
		sc.pushed(sc.wechat.Text(sceneUser, "first"))
		sc.wechat.Fail(simulator.WeChatFault{Path: mediaGet, Code: -1})
		const waiting = 100
		for range waiting {
			sc.pushed(sc.wechat.Image(sceneUser))
		}
		time.Sleep(earlyAgain - time.Second)
		if n := sc.wechat.CountCalls(mediaGet); n == 0 || n > 2*(earlyStreak+earlyAtOnce) {
			t.Errorf("%d calls at first", n)
		}
		for range 20 {
			before := sc.wechat.CountCalls(mediaGet)
			time.Sleep(earlyAgain)
			if n := sc.wechat.CountCalls(mediaGet) - before; n == 0 || n > 2*(earlyStreak+earlyAtOnce) {
				t.Fatalf("%d calls in a round", n)
			}
		}
		sc.wechat.ClearFaults()
		time.Sleep(2 * earlyAgain)
		if n := sc.files(); n != waiting {
			t.Errorf("%d files are kept, want %d", n, waiting)
		}
	})
}

// TestFileFlights: of many who want the same file one fetches it, and all learn how that ended.
func TestFileFlights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var fs fileFlights
		fl, mine := fs.board(1)
		if !mine {
			t.Fatal("nobody fetches it")
		}
		var wg sync.WaitGroup
		for range 3 {
			same, mine := fs.board(1)
			if mine || same != fl {
				t.Error("it is fetched twice")
			}
			wg.Go(func() { <-same.done })
		}
		fs.landed(fl, errNoFile)
		wg.Wait()
		if fl, mine := fs.board(1); mine || fl.err != errNoFile {
			t.Errorf("mine %v, error %v, right after it failed", mine, fl.err)
		}
		time.Sleep(flightKept + time.Second)
		if _, mine := fs.board(2); !mine || len(fs.by) != 1 {
			t.Errorf("%d flights are remembered", len(fs.by))
		}
		fl, mine = fs.board(1)
		if !mine {
			t.Error("it is never tried again")
		}
		fs.landed(fl, nil)
		if _, mine := fs.board(1); !mine {
			t.Error("what is kept is not looked up")
		}
	})
}

// TestPrefetchLost: what cannot be had is not asked for again until its message has its turn.
func TestPrefetchLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.WeChatFault{
		"gone":   {Path: mediaGet, Code: 40007},
		"a page": {Path: mediaGet, HTTPStatus: 200, Body: "<html>sorry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc, bot := newFileScene(t, dir, nil)
				defer sc.close()
				bot.down(true)
				sc.pushed(sc.wechat.Text(sceneUser, "first"))
				sc.wechat.Fail(fault)
				sc.pushed(sc.wechat.Image(sceneUser))
				time.Sleep(time.Hour)
				if n := sc.wechat.CountCalls(mediaGet); n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
			})
		})
	}
}

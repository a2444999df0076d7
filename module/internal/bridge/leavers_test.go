package bridge

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

// down has the bot take nothing, or everything again.
func (b *recordingBot) down(is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = 0
	if is {
		b.refuse = 1 << 30
	}
}

// hear has the bot say texts to the user.
func (sc *scene) hear(id string, payloads ...string) {
	sc.t.Helper()
	for i, p := range payloads {
		r := bots.Reply{Conversation: "c-" + sceneUser, ID: fmt.Sprint(id, i), CreatedAt: time.Now().Add(time.Duration(i) * time.Millisecond), Payload: []byte(p)}
		if n, err := sc.rt.Hear(context.Background(), []bots.Reply{r}); n != 1 || err != nil {
			sc.t.Fatalf("the bot was not heard: %d, %v", n, err)
		}
	}
}

// count runs a query for a number in one of the databases.
func (sc *scene) count(file, query string) (n int) {
	sc.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(sc.dir, file))
	if err != nil {
		sc.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		sc.t.Fatal(err)
	}
	return n
}

// alter runs a statement in one of the databases.
func (sc *scene) alter(file, statement string) {
	sc.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(sc.dir, file))
	if err != nil {
		sc.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		sc.t.Fatal(err)
	}
}

// kept is what is there of the user, in short.
func (sc *scene) kept() string {
	sc.t.Helper()
	return fmt.Sprintf("replies %d, choices %d, profiles %d, files %d",
		sc.count("journal.db", "SELECT COUNT(*) FROM replies WHERE state IN (0, 2)"), sc.count("journal.db", "SELECT COUNT(*) FROM choices"),
		sc.count("journal.db", "SELECT COUNT(*) FROM users WHERE profile <> ''"), sc.count("media.db", "SELECT COUNT(*) FROM media"))
}

const (
	saidChoice = `{"type":"choice","text":"?","options":[{"label":"A","value":"a"}]}`
	saidCard   = `{"type":"card","title":"T","imageUrl":"https://example.com/p.png"}`
	saidText   = `{"type":"text","text":"said"}`
)

// known has the user leave traces of each kind: a file, a choice, a profile, a parked reply, and a
// message that waits for the bot, which is down. It returns the file's address.
func (sc *scene) known(bot *recordingBot) string {
	sc.t.Helper()
	file, _ := sc.send(bot, sc.wechat.Image(sceneUser))
	bot.down(true)
	sc.wechat.Push(context.Background(), sc.wechat.Text(sceneUser, "last words"))
	sc.hear("choice", saidChoice)
	time.Sleep(3 * time.Second)
	sc.hear("many", saidCard, saidCard, saidCard, saidCard)
	time.Sleep(10 * time.Second)
	if _, parked, _ := sc.state(); parked == 0 || !strings.Contains(sc.kept(), "choices 1, profiles 1, files 1") {
		sc.t.Fatalf("%d parked replies, %s", parked, sc.kept())
	}
	return file
}

// TestLeave: what is known of a user who leaves is gone at once, though the bot is down, and does not
// come again; what the user said before still reaches the bot, once.
func TestLeave(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, func(s *Settings) { s.Profile, s.Allowance.Message.Count = true, 3 })
		defer sc.close()
		file := sc.known(bot)
		before := len(sc.wechat.Seen(sceneUser))
		leave := sc.wechat.Event(sceneUser, "unsubscribe", "")
		sc.wechat.Push(t.Context(), leave)
		synctest.Wait()
		if got := sc.kept(); got != "replies 0, choices 0, profiles 0, files 0" {
			t.Errorf("kept: %s", got)
		}
		if f, _ := sc.fetch(file); f != nil {
			t.Error("a file of a user who left is served")
		}
		sc.hear("many", saidCard, saidCard, saidCard, saidCard) // the very same, as after a lost answer
		sc.hear("late", saidText)
		time.Sleep(time.Minute)
		sc.restart()
		bot.down(false)
		sc.wechat.Push(t.Context(), leave) // WeChat had not heard the answer
		time.Sleep(10 * time.Minute)
		if diff := cmp.Diff([]string{"text last words", "unsubscribe"}, bot.got()[1:]); diff != "" {
			t.Errorf("the bot got (-want +got):\n%s", diff)
		}
		if got := sc.kept(); got != "replies 0, choices 0, profiles 0, files 0" {
			t.Errorf("kept in the end: %s", got)
		}
		if n := sc.wechat.CountCalls(userInfo); n != 1 {
			t.Errorf("WeChat was asked %d times about the user, want once", n)
		}
		if n := len(sc.wechat.Seen(sceneUser)); n != before {
			t.Errorf("the user was sent %q", sc.saw()[before:])
		}
	})
}

// TestLeaveRetried: files that cannot be deleted when their user leaves are deleted later, also by
// the next process.
func TestLeaveRetried(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc, bot := newFileScene(t, dir, nil)
				defer sc.close()
				file, _ := sc.send(bot, sc.wechat.Image(sceneUser))
				sc.alter("media.db", "CREATE TRIGGER refuse BEFORE UPDATE ON media BEGIN SELECT RAISE(ABORT, 'refused'); END")
				sc.send(bot, sc.wechat.Event(sceneUser, "unsubscribe", ""))
				time.Sleep(time.Minute)
				if n := sc.files(); n != 1 {
					t.Fatal("the file could be deleted")
				}
				if f, _ := sc.fetch(file); f != nil {
					t.Error("the file of a user who left is served until it is deleted")
				}
				if restart {
					sc.restart()
				}
				sc.alter("media.db", "DROP TRIGGER refuse")
				time.Sleep(time.Minute)
				if n := sc.count("media.db", "SELECT COUNT(*) FROM media"); n != 0 {
					t.Errorf("%d files of a user who left are kept", n)
				}
				if n := sc.count("journal.db", "SELECT COUNT(*) FROM leavers"); n != 0 {
					t.Errorf("%d users are still to be forgotten", n)
				}
			})
		})
	}
}

// TestLeaveAndReturn: who comes back before the bot has heard of the leaving loses nothing that is new.
func TestLeaveAndReturn(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, func(s *Settings) { s.Profile, s.Allowance.Message.Count = true, 3 })
		defer sc.close()
		old := sc.known(bot)
		sc.alter("media.db", "CREATE TRIGGER refuse BEFORE UPDATE ON media WHEN NEW.done <> 1 AND OLD.done = 1 BEGIN SELECT RAISE(ABORT, 'refused'); END")
		sc.wechat.Push(t.Context(), sc.wechat.Event(sceneUser, "unsubscribe", ""))
		time.Sleep(5 * time.Second)
		sc.wechat.Push(t.Context(), sc.wechat.Event(sceneUser, "subscribe", ""))
		before := len(sc.wechat.Seen(sceneUser))
		time.Sleep(10 * time.Minute)
		calls := sc.wechat.CountCalls("/cgi-bin/message/custom/send")
		sc.restart()
		sc.hear("again", saidChoice) // the allowance of the follow is over
		time.Sleep(time.Second)
		if _, parked, _ := sc.state(); parked != 1 {
			t.Errorf("%d parked replies after the return, want 1", parked)
		}
		bot.down(false)
		time.Sleep(10 * time.Minute)
		if n := sc.wechat.CountCalls("/cgi-bin/message/custom/send"); n != calls {
			t.Errorf("%d messages were tried, though what was said before leaving allows none", n-calls)
		}
		fresh, _ := sc.send(bot, sc.wechat.Image(sceneUser))
		time.Sleep(time.Second)
		if got := sc.wechat.Seen(sceneUser)[before:]; len(got) != 1 || !strings.Contains(got[0].Text, "1. A") {
			t.Errorf("the user was sent %q", sc.saw()[before:])
		}
		if u, _, err := sc.rt.user(sceneUser); err != nil || !u.LeftAt.IsZero() || u.Profile == "" || u.Action.Since.IsZero() {
			t.Errorf("known of the user: %+v, %v", u, err)
		}
		sc.alter("media.db", "DROP TRIGGER refuse")
		time.Sleep(time.Minute)
		if f, _ := sc.fetch(old); f != nil {
			t.Error("a file from before the user left is served")
		}
		if f, _ := sc.fetch(fresh); f == nil {
			t.Error("a file from after the return is gone")
		}
		if got, _ := sc.send(bot, sc.wechat.Text(sceneUser, "A")); got != "text a" {
			t.Errorf("the bot got %q for the choice", got)
		}
	})
}

// TestLeaveWhileFetched: a file that is under way when its user leaves is not kept.
func TestLeaveWhileFetched(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, nil)
		defer sc.close()
		sc.send(bot, sc.wechat.Image(sceneUser)) // there is a database
		sc.wechat.Fail(simulator.WeChatFault{Path: mediaGet, Delay: 3 * time.Second})
		sc.wechat.Push(t.Context(), sc.wechat.Image(sceneUser))
		time.Sleep(time.Second)
		sc.wechat.Push(t.Context(), sc.wechat.Event(sceneUser, "unsubscribe", ""))
		time.Sleep(time.Minute)
		if n := sc.count("media.db", "SELECT COUNT(*) FROM media"); n != 0 {
			t.Errorf("%d files are kept", n)
		}
		got := bot.got()
		if len(got) != 3 || !strings.HasPrefix(got[1], "image http://wechat.invalid/pic/") || got[2] != "unsubscribe" {
			t.Errorf("the bot got %q", got)
		}
	})
}

// TestActSince: what was done before leaving says nothing of a user any more.
func TestActSince(t *testing.T) {
	t.Parallel()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	had := act{message: at(1), action: at(3)}
	for left, want := range map[time.Time]act{
		{}:    had,
		at(1): {action: at(3)},
		at(2): {action: at(3)},
		at(3): {},
	} {
		if got := had.since(left); got != want {
			t.Errorf("since %v: %+v, want %+v", left, got, want)
		}
	}
}

package caddytest

import (
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestKill kills Caddy ten times at random moments while a crowd speaks, and
// starts it again on the same journal each time. Whatever was answered success
// reaches the bot once and in order, every answer of the bot reaches its user in
// order, and a message is sent twice only where a kill fell between WeChat's
// taking it and the journal's knowing of it.
func TestKill(t *testing.T) {
	const kills = 10
	w := newWorld(t, setup{
		options: bulk,
		wechat:  func(c *simulator.WeChatConfig) { c.NoAllowance = true },
	})
	c := crowd{w: w, users: 50, each: 60, until: true, pause: 80 * time.Millisecond}
	if full() {
		c.users, c.each = 200, 50
	}
	ctx := within(t, 10*time.Minute)
	var speaking sync.WaitGroup
	over := make(chan struct{})
	speaking.Go(func() {
		defer close(over)
		c.speak(ctx)
	})

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	doubtful := make(map[string]int)
	began := time.Now()
	for n := range kills {
		time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
		select {
		case <-over:
			t.Error("the crowd fell silent before the last kill")
		default:
		}
		w.caddy.kill()
		w.underWay(doubtful)
		if n%3 == 2 { // and once more, before it is up
			if _, err := w.caddy.launch(w.config()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			w.caddy.kill()
			w.underWay(doubtful)
		}
		w.caddy.start(w.config())
	}
	killed := time.Since(began)
	speaking.Wait()
	spoken := time.Since(began)
	c.check(within(t, 3*time.Minute), c.users*kills)
	t.Logf("%d messages: %d kills in %v, pushed in %v, all answered in %v",
		c.users*c.each, kills, killed, spoken, time.Since(began))
	w.checkRepeats(c, doubtful)
}

// underWay counts in what the dead process may have been sending: of each user,
// the oldest reply that the journal does not know to be done. It reads a copy,
// so that the next process finds everything as the kill has left it.
func (w *world) underWay(doubtful map[string]int) {
	w.t.Helper()
	dir := w.t.TempDir()
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(w.caddy.dir, "journal", name))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "journal.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT openid, payload FROM replies WHERE state = 0 ORDER BY openid, created_at, message_id`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	last := ""
	for rows.Next() {
		var openid string
		var payload []byte
		var reply struct{ Text string }
		if err := rows.Scan(&openid, &payload); err != nil {
			w.t.Fatal(err)
		}
		if err := json.Unmarshal(payload, &reply); err != nil {
			w.t.Fatal(err)
		}
		if openid != last {
			doubtful[reply.Text]++
		}
		last = openid
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// checkRepeats looks whether a message was read more often than kills can
// explain.
func (w *world) checkRepeats(c crowd, doubtful map[string]int) {
	w.t.Helper()
	total, could := 0, 0
	for _, n := range doubtful {
		could += n
	}
	for i := range c.users {
		seen := texts(w.wechat.Replies(c.openid(i)))
		for k, s := range seen {
			if k == 0 || seen[k-1] != s {
				continue
			}
			total++
			if doubtful[s]--; doubtful[s] < 0 {
				w.t.Errorf("user %d read %q again, which was not under way at a kill", i, s)
			}
		}
	}
	w.t.Logf("%d of %d sends in doubt were repeated", total, could)
}

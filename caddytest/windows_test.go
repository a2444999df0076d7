package caddytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// full tells whether loads have their full size, which the race detector leaves no
// room for.
func full() bool { return os.Getenv(long) != "" && !raced }

// memory is what Caddy has in use after a collection, in bytes: heap and stacks,
// and what the runtime needs for them.
func (p *process) memory() int64 {
	p.t.Helper()
	resp, err := http.Get("http://" + p.admin + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var sum int64
	for line := range strings.Lines(string(body)) {
		var n int64
		for _, name := range []string{"HeapAlloc", "Stack", "MSpan", "MCache", "BuckHashSys", "OtherSys"} {
			if _, err := fmt.Sscanf(line, "# "+name+" = %d", &n); err == nil {
				sum += n
			}
		}
	}
	return sum
}

// TestManyWindows holds many callbacks open at once, and answers some of them
// meanwhile. It tells what a window costs, with its connection and Caddy's request,
// and how long after the bot's reply its answer is there.
func TestManyWindows(t *testing.T) {
	t.Parallel()
	users, asked := 1000, 200 // so many of them hear something while all are open
	switch {
	case full():
		users = 10_000
	case raced: // everything takes its time
		users, asked = 200, 50
	}
	w := newWorld(t, setup{
		options: "wait 4.8s\nsettle 0\npace 0\ntyping off\nlimits {\nwindows 20000\nlanes 50\nuser 1000000/1s\n}",
		wechat:  func(c *simulator.WeChatConfig) { c.Timeout = time.Minute },
		botpress: func(c *simulator.BotpressConfig) {
			c.Bot = func(context.Context, *simulator.BotTurn) {}
		},
	})
	ctx := within(t, 2*time.Minute)
	openid := func(i int) string { return fmt.Sprintf("oUser%05d", i) }
	late := func(i int) string { return openid(users - 1 - i) } // those whose windows open last are open longest

	// Those who will hear something, first: the bot knows them then.
	for i := range asked {
		w.wechat.Push(ctx, w.wechat.Event(late(i), "VIEW", "https://example.com/"))
	}
	for i := range asked {
		if _, err := w.botpress.WaitTurns(ctx, conversation(late(i)), 1); err != nil {
			t.Fatal(err)
		}
	}
	before := w.caddy.memory()
	var open sync.WaitGroup
	kinds := make([]string, users)
	began := time.Now()
	for i := range users {
		p := w.wechat.Text(openid(i), "hello")
		open.Go(func() { kinds[i] = w.wechat.Push(ctx, p).Outcome })
		if i%100 == 99 {
			time.Sleep(10 * time.Millisecond) // or connections wait to be accepted
		}
	}
	for len(w.caddy.log.lines("push taken", `"kind":"text"`)) < users && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	opened := time.Since(began)
	t.Logf("%d windows open after %v: %d KiB each", users, opened, (w.caddy.memory()-before)>>10/int64(users))

	var took []time.Duration
	for i := range asked {
		said := time.Now()
		w.botpress.Say(conversation(late(i)), "answer")
		seen, err := w.wechat.Wait(ctx, late(i), 1)
		if err != nil {
			t.Fatal(err)
		}
		if seen[0].Road == simulator.RoadPassive {
			took = append(took, seen[0].At.Sub(said))
		}
	}
	open.Wait()
	counts := make(map[string]int)
	for _, k := range kinds {
		counts[k]++
	}
	slices.Sort(took)
	if len(took) == 0 {
		t.Fatalf("nobody was answered passively; outcomes %v", counts)
	}
	t.Logf("%d answered within the window, p50 %v, p99 %v after the reply; outcomes %v", len(took), took[len(took)/2], took[len(took)*99/100], counts)
	if counts[simulator.OutcomeSuccess]+counts[simulator.OutcomeReply] != users {
		t.Errorf("outcomes %v", counts)
	}
}

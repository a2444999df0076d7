package caddytest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestJournalSize fills a journal that may not become larger while the bot is away. Pushes are held and not
// answered, one that was taken before is answered as it was, the rest of Caddy serves, and the log says once
// what is to be done; what waits reaches the bot all the same. When the journal may become larger all goes on.
func TestJournalSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{
		options: bulk + "\nready on",
		idle:    true,
		wechat:  func(c *simulator.WeChatConfig) { c.Timeout, c.NoAllowance = time.Second, true },
	})
	w.journal = "max_size 2MiB"
	w.caddy.start(w.config())
	ctx := within(t, 2*time.Minute)
	w.botpress.SetDown(true)
	const user, most = "oUser", 200
	var sent []string
	var last simulator.SimPush
	for {
		text := fmt.Sprint(len(sent), strings.Repeat(" word", 6000))
		p := w.wechat.Text(user, text)
		d := w.wechat.Push(ctx, p)
		if !d.Accepted() {
			for _, a := range d.Attempts {
				if a.Status != 0 {
					t.Fatalf("refused with %+v, want silence", a)
				}
			}
			break
		}
		if len(sent) > most {
			t.Fatalf("%d pushes of 30 kB were taken", len(sent))
		}
		sent, last = append(sent, text), p
		time.Sleep(50 * time.Millisecond) // the size is looked at each second
	}
	if len(sent) < 20 {
		t.Errorf("%d pushes were taken", len(sent))
	}
	if d := w.wechat.Push(ctx, last); !d.Accepted() {
		t.Errorf("sent again, what had been taken was refused: %+v", d)
	}
	w.do(request{name: "the rest of Caddy", path: "/elsewhere", status: 200, want: elsewhat})
	w.do(request{name: "readiness", path: "/wechat/ready", status: 503, want: "not ready\n"})
	if got := w.command("status"); got.code != 2 || !strings.Contains(got.out, "max_size") {
		t.Errorf("the status says %+v", got)
	}
	w.botpress.SetDown(false)
	turns, err := w.botpress.WaitTurns(ctx, conversation(user), len(sent))
	if diff := cmp.Diff(sent, said(turns)); diff != "" {
		t.Errorf("the bot heard (-want +got, %v):\n%.2000s", err, diff)
	}
	time.Sleep(3 * time.Second) // that this could be recorded is no end of it
	if n := len(w.caddy.log.records("journal works again")); n != 0 {
		t.Errorf("%d times the log says that it is over", n)
	}
	w.journal = "max_size 20MiB"
	if err := w.caddy.reload(w.config()); err != nil {
		t.Fatal(err)
	}
	w.await(ctx, "journal works again")
	w.push(w.wechat.Text(user, "after"))
	turns, err = w.botpress.WaitTurns(ctx, conversation(user), len(sent)+1)
	if diff := cmp.Diff([]string{"after"}, said(turns)[len(sent):]); diff != "" {
		t.Errorf("the bot heard at last (-want +got, %v):\n%s", err, diff)
	}
	w.do(request{name: "readiness", path: "/wechat/ready", status: 200, want: "ready\n"})
	if bad := w.caddy.log.lines("journal does not work; pushes are held until it does", `"level":"error"`, "Raise journal max_size"); len(bad) != 1 {
		t.Errorf("%d lines about a full journal, want one: %s", len(bad), bad)
	}
}

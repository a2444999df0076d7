package bots

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// conversed is a bot that has said n things to a peer, a millisecond apart, and counts the pages that it is asked for.
func conversed(t *testing.T, n int) (b *Botpress, sim *simulator.Botpress, p Peer, said []string, pages *atomic.Int64) {
	t.Helper()
	pages = new(atomic.Int64)
	sim = simulator.NewBotpress(simulator.BotpressConfig{EncryptionKey: "key", PageSize: 100})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/messages") {
			pages.Add(1)
		}
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		sim.Close()
		srv.Close()
	})
	b = &Botpress{API: srv.URL, WebhookID: sim.WebhookID(), EncryptionKey: "key"}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	if err := b.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Cleanup() })
	p = Peer{AppID: "wx0", OpenID: "oAlice"}
	if err := b.Introduce(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	began := time.Now().Truncate(time.Second)
	for i := range n {
		id := sim.Say(b.Conversation(p), "text", simulator.SayAt(began.Add(time.Duration(i)*time.Millisecond)), simulator.SaySilently())
		if id == "" {
			t.Fatal("there is no such conversation")
		}
		said = append(said, id)
	}
	return b, sim, p, said, pages
}

func ids(rs []Reply) (all []string) {
	for _, r := range rs {
		all = append(all, r.ID)
	}
	return all
}

// TestListParts: what is too much for one listing comes in several, from the oldest
// on and without a gap.
func TestListParts(t *testing.T) {
	b, _, p, said, _ := conversed(t, 2*maxListed+maxListed/2)
	var got []string
	var mark Mark
	parts := 0
	for more := true; more; parts++ {
		var found []Reply
		var err error
		if found, more, err = b.List(t.Context(), p, mark); err != nil {
			t.Fatal(err)
		}
		if len(found) > maxListed {
			t.Errorf("%d at once", len(found))
		}
		got = append(got, ids(found)...)
		last := found[len(found)-1]
		mark = Mark{At: last.CreatedAt, ID: last.ID}
	}
	if !slices.Equal(got, said) || parts != 3 {
		t.Errorf("%d of %d messages in %d parts", len(got), len(said), parts)
	}
	found, more, err := b.List(t.Context(), p, mark)
	if len(found) != 0 || more || err != nil {
		t.Errorf("behind the last one: %d messages, more %v, error %v", len(found), more, err)
	}
}

// TestListPatience: a page that fails is asked for again, and not all those before it.
func TestListPatience(t *testing.T) {
	b, sim, p, said, pages := conversed(t, 1000)
	sim.Fail(simulator.BotpressFault{Op: "listMessages", Skip: 7, Times: pageTries - 1, ResetBefore: true})
	found, more, err := b.List(t.Context(), p, Mark{})
	if err != nil || more || !slices.Equal(ids(found), said) {
		t.Errorf("%d of %d messages, more %v, error %v", len(found), len(said), more, err)
	}
	if n := pages.Swap(0); n != 10+pageTries-1 {
		t.Errorf("%d calls", n)
	}
	for name, skip := range map[string]int{"first page": 0, "another page": 3} {
		sim.Fail(simulator.BotpressFault{Op: "listMessages", Skip: skip, Times: -1, Status: 503})
		found, _, err := b.List(t.Context(), p, Mark{})
		if f := AsFault(err); err == nil || f.Kind != Transient || found != nil {
			t.Errorf("%s: %d messages, error %v", name, len(found), err)
		}
		want := int64(1)
		if skip > 0 {
			want = int64(skip + pageTries)
		}
		if n := pages.Swap(0); n != want {
			t.Errorf("%s: %d calls, want %d", name, n, want)
		}
		sim.ClearFaults()
	}
	// Nobody waits for a page any more once it is not wanted.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	sim.Fail(simulator.BotpressFault{Op: "listMessages", Skip: 1, Times: -1, Status: 503})
	if _, _, err := b.List(ctx, p, Mark{}); err == nil {
		t.Error("no error")
	}
	if ctx.Err() == nil {
		t.Error("given up before it was not wanted any more")
	}
}

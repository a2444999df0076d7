package bridge

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	otel "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// spanLog is a provider that notes which spans were begun, and in which trace.
type spanLog struct {
	noop.TracerProvider

	mu    sync.Mutex
	n     uint64
	begun []string // trace and name
}

func (l *spanLog) Tracer(string, ...otel.TracerOption) otel.Tracer { return loggedTracer{log: l} }

type loggedTracer struct {
	noop.Tracer
	log *spanLog
}

type loggedSpan struct {
	noop.Span
	log *spanLog
	own otel.SpanContext
}

func (s loggedSpan) SpanContext() otel.SpanContext       { return s.own }
func (s loggedSpan) TracerProvider() otel.TracerProvider { return s.log }

// Start implements otel.Tracer. Without a parent, a trace begins, which is kept.
func (t loggedTracer) Start(ctx context.Context, name string, _ ...otel.SpanStartOption) (context.Context, otel.Span) {
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	t.log.n++
	cfg := otel.SpanContextConfig{TraceID: otel.SpanContextFromContext(ctx).TraceID(), TraceFlags: otel.FlagsSampled}
	binary.BigEndian.PutUint64(cfg.SpanID[:], t.log.n)
	if !cfg.TraceID.IsValid() {
		binary.BigEndian.PutUint64(cfg.TraceID[:], t.log.n)
	}
	t.log.begun = append(t.log.begun, cfg.TraceID.String()+" "+name)
	span := loggedSpan{log: t.log, own: otel.NewSpanContext(cfg)}
	return otel.ContextWithSpan(ctx, span), span
}

// request is the context of a request that is traced.
func (l *spanLog) request(name string) (context.Context, string) {
	ctx, span := l.Tracer("").Start(context.Background(), name)
	return ctx, span.SpanContext().TraceID().String()
}

func (l *spanLog) has(span string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.begun, span)
}

// TestTraceOverRestart: a reply to a message that the bot was told before a restart
// belongs to that one's trace, which is told of once a request is traced again, be
// it only the one that brings the reply; and ten minutes later it belongs to none.
func TestTraceOverRestart(t *testing.T) {
	for _, tc := range []struct {
		name   string
		after  time.Duration // from the message to the reply
		traced bool          // the request that brings the reply
		kept   bool          // the reply's trace is the message's
	}{
		{name: "webhook traced", after: 5 * s, traced: true, kept: true},
		{name: "webhook not traced", after: 5 * s, kept: true},
		{name: "long ago", after: turnKept + 5*s, traced: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tempDir(t)
			var before, after spanLog
			var trace string
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) { s.Reply, s.Typing = ReplyPush, false }, nil)
				defer sc.close()
				ctx, id := before.request("push")
				trace = id
				sc.wechat.PushConcurrent(ctx, sc.wechat.Text(sceneUser, "hi"), 1)
				time.Sleep(s)
				if !before.has(trace + " wechat.bot") {
					t.Fatalf("the bot was not told within the trace: %q", before.begun)
				}
				sc.restart()
				time.Sleep(tc.after)
				ctx = context.Background()
				if tc.traced {
					ctx, _ = after.request("webhook")
				}
				r := bots.Reply{Conversation: "c-" + sceneUser, ID: "m1", CreatedAt: time.Now(), Payload: []byte(`{"type":"text","text":"late"}`)}
				if _, err := sc.rt.Hear(ctx, []bots.Reply{r}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * s)
				if seen := sc.wechat.Seen(sceneUser); len(seen) != 1 || seen[0].Text != "late" {
					t.Errorf("the user saw %+v", seen)
				}
			})
			if got := traceOfReply(t, dir); got != "" != tc.kept || tc.kept && got[3:35] != trace {
				t.Errorf("the reply's trace is %q, the message's %s", got, trace)
			}
			for _, name := range []string{"wechat.reply", "wechat.send"} {
				if got := after.has(trace + " " + name); got != (tc.traced && tc.kept) {
					t.Errorf("%s within the trace: %v; %q", name, got, after.begun)
				}
			}
		})
	}
}

// traceOfReply is the trace that the journal has of the only reply.
func traceOfReply(t *testing.T, dir string) (trace string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT trace FROM replies").Scan(&trace); err != nil {
		t.Fatal(err)
	}
	return trace
}

// TestUnsampledRequest: whoever traces is known from a request that was not chosen to
// be kept, but not from one that only says whom it belongs to elsewhere.
func TestUnsampledRequest(t *testing.T) {
	var l spanLog
	var sp spans
	own := otel.NewSpanContext(otel.SpanContextConfig{TraceID: otel.TraceID{1}, SpanID: otel.SpanID{1}})
	parent := "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	sp.received(otel.ContextWithRemoteSpanContext(context.Background(), own))
	if _, _, ok := sp.within(parent); ok {
		t.Error("somebody is told of it, and there is nobody")
	}
	if _, span := sp.received(otel.ContextWithSpan(context.Background(), loggedSpan{log: &l, own: own})); span != untraced {
		t.Error("a request that is not kept has a span")
	}
	if _, _, ok := sp.within(parent); !ok || len(l.begun) > 0 {
		t.Errorf("known %v, begun %q", ok, l.begun)
	}
}

// TestTurnsBounded: where too many wrote, those that wrote last are remembered.
func TestTurnsBounded(t *testing.T) {
	var sp spans
	now := time.Now()
	user := func(i int) string { return fmt.Sprint("u", i) }
	const all = 3 * turnsMost
	sp.told("early, and again", "old", now)
	for i := range all {
		sp.told(user(i), user(i), now)
		if n := len(sp.turns) + len(sp.older); n > turnsMost {
			t.Fatalf("%d are remembered", n)
		}
		if i == all-turnsMost/4 {
			sp.told("early, and again", "new", now)
		}
	}
	for i := all - turnsMost/4; i < all; i++ {
		if got := sp.turnOf(journal.User{OpenID: user(i), Trace: "the journal's", TracedAt: now}); got != user(i) {
			t.Fatalf("the trace of %d of %d is %q", i, all, got)
		}
	}
	for name, u := range map[string]journal.User{
		"new":           {OpenID: "early, and again"},
		"the journal's": {OpenID: user(0), Trace: "the journal's", TracedAt: now},
		"":              {OpenID: user(0), Trace: "the journal's", TracedAt: now.Add(-turnKept - time.Minute)},
	} {
		if got := sp.turnOf(u); got != name {
			t.Errorf("%+v: %q, want %q", u, got, name)
		}
	}
}

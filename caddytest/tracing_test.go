package caddytest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// span is one that OpenTelemetry's exporter to the console has written.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ TraceID, SpanID string }
	Links       []struct{ SpanContext struct{ TraceID string } }
	Status      struct{ Code string }
}

// spans are those of a name in Caddy's output.
func (w *world) spans(name string) (all []span) {
	for _, line := range w.caddy.log.lines(`"SpanContext"`, `"Name":"`+name+`"`) {
		w.clean("a span", []byte(line))
		var s span
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			w.t.Errorf("span %s: %v", line, err)
		}
		all = append(all, s)
	}
	return all
}

func (w *world) awaitSpans(name string, n int) []span {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if all := w.spans(name); len(all) >= n {
			return all
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d spans %s, want %d", len(w.spans(name)), name, n)
		}
	}
}

// watched puts something between Caddy and the bot that notes the traceparents of
// messages.
func (w *world) watched() func() []string {
	target, err := url.Parse(w.botAt)
	if err != nil {
		w.t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []string
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/messages") {
			mu.Lock()
			seen = append(seen, r.Header.Get("Traceparent"))
			mu.Unlock()
		}
		forward.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(proxy.Close)
	w.botAt = proxy.URL
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), seen...)
	}
}

// TestTracing: one trace joins the push, the call of the bot, its reply and the message
// to WeChat, over a restart too.
func TestTracing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk, idle: true})
	w.caddy.env = []string{"OTEL_TRACES_EXPORTER=console", "OTEL_BSP_SCHEDULE_DELAY=50"}
	told := w.watched()
	config := func() string {
		return strings.Replace(w.config(), "	respond ", "	tracing {\n		span caddy\n	}\n	respond ", 1)
	}
	w.caddy.start(config())
	const alice, bob = "oAlice", "oBob"
	w.push(w.wechat.Text(alice, secretWords))
	w.expect(alice, "echo: "+secretWords)

	push, bot := w.awaitSpans("wechat.push", 1)[0], w.awaitSpans("wechat.bot", 1)[0]
	reply, send := w.awaitSpans("wechat.reply", 1)[0], w.awaitSpans("wechat.send", 1)[0]
	trace := push.SpanContext.TraceID
	outer := false // Caddy's own span is around it
	for _, s := range w.awaitSpans("caddy", 1) {
		outer = outer || s.SpanContext == push.Parent
	}
	if !outer {
		t.Errorf("the push's parent %+v is not Caddy's", push.Parent)
	}
	for _, s := range []span{bot, reply, send} {
		if s.SpanContext.TraceID != trace || s.Parent.SpanID != push.SpanContext.SpanID {
			t.Errorf("%s is %+v in %+v, want it in %+v", s.Name, s.SpanContext, s.Parent, push.SpanContext)
		}
	}
	if len(reply.Links) != 1 || reply.Links[0].SpanContext.TraceID == trace {
		t.Errorf("the reply is not linked to the webhook that brought it: %+v", reply.Links)
	}
	if got := told(); len(got) != 1 || got[0] != "00-"+trace+"-"+bot.SpanContext.SpanID+"-01" {
		t.Errorf("the bot was told %q of trace %s", got, trace)
	}
	for deadline := time.Now().Add(10 * time.Second); len(w.caddy.log.lines(`"trace_id":"`+trace+`"`, "push delivered to bot")) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the log does not name the trace")
		}
	}

	// What waits over a restart stays in its trace.
	w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Times: -1, Status: http.StatusServiceUnavailable})
	w.push(w.wechat.Text(bob, secretWords))
	failed := w.awaitSpans("wechat.bot", 2)[1]
	if failed.Status.Code != "Error" {
		t.Errorf("a failed call's status is %q", failed.Status.Code)
	}
	w.caddy.stop()
	w.caddy.start(config())
	// With the first request, tracing is known again. What the bot says to what it was told
	// before the restart is in its trace, whether the webhook or the listing at the start
	// brings it.
	w.push(w.wechat.Text("oCarol", "silent"))
	w.botpress.Say(conversation(alice), map[string]any{"type": "text", "text": secretWords})
	late := w.awaitSpans("wechat.reply", 2)[1]
	if late.SpanContext.TraceID != trace || late.Parent.SpanID != push.SpanContext.SpanID {
		t.Errorf("the reply after the restart is %+v in %+v, want it in %+v", late.SpanContext, late.Parent, push.SpanContext)
	}
	w.botpress.ClearFaults()
	w.expect(bob, "echo: "+secretWords)
	want := w.spans("wechat.push")[1].SpanContext.TraceID
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		found := false
		for _, s := range w.spans("wechat.send") {
			found = found || s.SpanContext.TraceID == want
		}
		if found {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was sent in the trace %s: %+v", want, w.spans("wechat.send"))
		}
	}
}

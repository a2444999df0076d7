package caddytest

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// metrics are the samples of the bridge that Caddy's metrics show, by name and labels.
func (w *world) metrics() map[string]float64 {
	w.t.Helper()
	resp, err := http.Get("http://" + w.caddy.admin + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("metrics: %s %v %s", resp.Status, err, body)
	}
	samples := make(map[string]float64)
	for line := range strings.Lines(string(body)) {
		at := strings.LastIndexByte(line, ' ')
		if !strings.HasPrefix(line, "caddy_wechat_") || at < 0 {
			continue
		}
		w.clean("a metric", []byte(line))
		if strings.Contains(line, "oAlice") {
			w.t.Errorf("a metric names a user: %s", line)
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			w.t.Errorf("metric %s: %v", line, err)
		}
		name := strings.Replace(strings.TrimPrefix(line[:at], "caddy_wechat_"), `app_id="`+appID+`",`, "", 1)
		samples[strings.Replace(name, `{app_id="`+appID+`"}`, "", 1)] = v
	}
	return samples
}

// awaitMetric waits until a sample is as wanted.
func (w *world) awaitMetric(sample string, ok func(float64) bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all := w.metrics()
		if v, there := all[sample]; there && ok(v) {
			return
		}
		if time.Now().After(deadline) {
			var like []string
			for name, v := range all {
				if n := strings.IndexAny(sample+"{", "{"); strings.HasPrefix(name, sample[:n]) {
					like = append(like, name+" "+strconv.FormatFloat(v, 'g', -1, 64))
				}
			}
			w.t.Fatalf("%s is never as wanted: %s", sample, strings.Join(like, "\n"))
		}
	}
}

func atLeast(n float64) func(float64) bool { return func(v float64) bool { return v >= n } }
func exactly(n float64) func(float64) bool { return func(v float64) bool { return v == n } }

// TestMetrics: each metric moves with what it measures, and what was counted outlives
// a reload.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "settle 0\npace 0\nwait 1s\nevent LOCATION ignore\nallowance 2 48h\nnotice more MORE"})
	const alice, sendPath = "oAlice", "/cgi-bin/message/custom/send"
	for _, sample := range []string{
		"up", `held{side="bot"}`, `held{side="wechat"}`, `held{side="journal"}`, "passive_only", "windows",
		`lanes{direction="in"}`, `lanes{direction="out"}`, "journal_bytes",
		`waiting{stage="push"}`, `waiting_oldest_seconds{stage="push"}`, `waiting_oldest_seconds{stage="reply"}`,
	} {
		if _, ok := w.metrics()[sample]; !ok {
			t.Errorf("no %s at the start", sample)
		}
	}
	for _, step := range []struct {
		name string
		act  func()
		want map[string]float64 // at least, afterwards
	}{
		{"a message", func() {
			w.push(w.wechat.Text(alice, secretWords))
			w.expect(alice, "echo: "+secretWords)
		}, map[string]float64{
			`pushes_total{kind="text",outcome="taken"}`: 1, "append_seconds_count": 1, "answer_seconds_count": 1,
			`windows_total{outcome="opened"}`: 1, `windows_total{outcome="answered"}`: 1,
			`bot_calls_total{outcome="delivered"}`: 1, "bot_call_seconds_count": 1, `replies_received_total{outcome="received"}`: 1,
			`replies_total{reason="window is open",road="passive"}`: 1, `sends_total{kind="text",outcome="ok"}`: 1, "send_seconds_count": 1,
			"up": 1, "journal_bytes": 1000,
		}},
		{"long and late", func() { w.push(w.wechat.Text(alice, "long")) }, map[string]float64{
			`replies_total{reason="no window is open",road="pushed"}`: 1, `token_refreshes_total{outcome="ok"}`: 1,
		}},
		{"twice", func() {
			p := w.wechat.Text(alice, "silent")
			w.push(p)
			w.push(p)
		}, map[string]float64{`pushes_total{kind="text",outcome="duplicate"}`: 1, `windows_total{outcome="success"}`: 1}},
		{"of no interest", func() { w.push(w.wechat.Event(alice, "LOCATION", "")) }, map[string]float64{
			`pushes_total{kind="event:LOCATION",outcome="ignored"}`: 1,
		}},
		{"not WeChat", func() {
			resp, err := http.Get("http://" + w.site + "/wechat?signature=0")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}, map[string]float64{`pushes_total{kind="other",outcome="refused"}`: 1}},
		{"WeChat takes no more", func() {
			w.wechat.Fail(simulator.WeChatFault{Path: sendPath, Times: 1, Code: 45015})
			w.push(w.wechat.Text(alice, "slow 2"))
		}, map[string]float64{
			"allowance_refusals_total": 1, `api_errors_total{code="45015"}`: 1, `sends_total{kind="text",outcome="refused"}`: 1,
			`replies_total{reason="allowance is spent or over",road="parked"}`: 1, `waiting{stage="parked"}`: 1, `typing_total{outcome="on"}`: 1,
		}},
		{"a picture", func() { w.push(w.wechat.Text(alice, "image")) }, map[string]float64{
			`media_total{outcome="fetched"}`: 1, `media_total{outcome="uploaded"}`: 1,
		}},
		{"a picture that is none", func() {
			w.botpress.Script(func(_ context.Context, turn *simulator.BotTurn) {
				turn.Reply(map[string]any{"type": "image", "imageUrl": "http://" + w.site + "/nothing.png"})
			})
			w.push(w.wechat.Text(alice, "picture"))
			w.awaitMetric(`media_refusals_total{reason="format"}`, atLeast(1))
			w.botpress.Script(nil)
		}, map[string]float64{`media_total{outcome="fetched"}`: 2}},
		{"a user's picture", func() { w.push(w.wechat.Image(alice)) }, map[string]float64{`media_total{outcome="downloaded"}`: 1}},
		{"the bot is slow to take it", func() {
			w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Times: 1, Status: http.StatusServiceUnavailable})
			w.push(w.wechat.Text(alice, "silent"))
		}, map[string]float64{`bot_calls_total{outcome="retry"}`: 1}},
		{"the bot does not take it", func() {
			w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Times: 1, Status: http.StatusBadRequest})
			w.push(w.wechat.Text(alice, "silent"))
		}, map[string]float64{
			`bot_calls_total{outcome="dead"}`: 1, `dead_letters_total{kind="push"}`: 1, `waiting{stage="dead"}`: 1,
			`pushes_total{kind="text",outcome="dead"}`: 1,
		}},
		{"held", func() {
			w.wechat.Fail(simulator.WeChatFault{Path: sendPath, Code: 40164})
			w.push(w.wechat.Text(alice, "slow 2"))
		}, map[string]float64{
			`holds_total{side="wechat"}`: 1, `held{side="wechat"}`: 1, `api_errors_total{code="40164"}`: 1, `waiting{stage="reply"}`: 1,
			`waiting_oldest_seconds{stage="reply"}`: 0.1,
		}},
		{"gone", func() {
			w.wechat.ClearFaults()
			w.awaitMetric(`held{side="wechat"}`, exactly(0))
			w.wechat.Fail(simulator.WeChatFault{Path: sendPath, Times: 1, Code: 43004})
			w.push(w.wechat.Text(alice, "slow 2"))
		}, map[string]float64{`replies_total{reason="user cannot be reached",road="dropped"}`: 1}},
	} {
		step.act()
		for sample, n := range step.want {
			w.awaitMetric(sample, atLeast(n))
		}
	}

	before := w.metrics()
	w.options += "\nai_label on"
	w.reload()
	after := w.metrics()
	for sample, n := range before {
		counted := strings.Contains(sample, "_total") || strings.HasSuffix(sample, "_count")
		if v, ok := after[sample]; !ok || counted && v < n {
			t.Errorf("%s was %v before a reload, and is %v", sample, n, v)
		}
	}
	w.push(w.wechat.Text(alice, "silent"))
	w.awaitMetric(`pushes_total{kind="text",outcome="taken"}`, atLeast(before[`pushes_total{kind="text",outcome="taken"}`]+1))
}

// TestMetricsOfTrouble: so do those that move only where something is wrong.
func TestMetricsOfTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{
		options: "settle 0\npace 0\nwait 1s\nlimits {\nuser 2/1h\n}",
		wechat:  func(c *simulator.WeChatConfig) { c.Timeout, c.Attempts = 4*time.Second, 1 },
	})
	const alice, bob, carol = "oAlice", "oBob", "oCarol"

	w.botpress.FailWebhook(simulator.WebhookFault{Mode: simulator.WebhookSkip, Times: 1})
	w.push(w.wechat.Text(alice, "hello"))
	w.awaitMetric(`replies_received_total{outcome="found"}`, atLeast(1))

	for range 4 {
		w.push(w.wechat.Text(bob, "silent"))
	}
	w.awaitMetric("pushes_slowed_total", atLeast(1))

	w.wechat.SetKind(simulator.KindIndividual)
	w.push(w.wechat.Text(carol, "slow 2"))
	w.awaitMetric("passive_only", exactly(1))

	if err := os.Rename(filepath.Join(w.journalDir(), "journal.db"), filepath.Join(w.journalDir(), "elsewhere")); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, time.Minute)
	for w.metrics()["append_failures_total"] == 0 && ctx.Err() == nil { // the writer notices last
		w.wechat.Push(ctx, w.wechat.Text(carol, "held"))
	}
	w.awaitMetric("append_failures_total", atLeast(1))
	w.awaitMetric("up", exactly(0))
	w.awaitMetric(`holds_total{side="journal"}`, atLeast(1))
	w.awaitMetric(`held{side="journal"}`, exactly(1))
}

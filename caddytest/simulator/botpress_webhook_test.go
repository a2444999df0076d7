package simulator

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBotpressWebhookRequest(t *testing.T) {
	for _, tc := range []struct {
		name, path, secret, uri string
	}{
		{"slash appended", "/hook", "s3cret", "/hook/"},
		{"slash kept", "/hook/", "s3cret", "/hook/"},
		{"slash after a query", "/a?tok=1", "s3cret", "/a?tok=1/"},
		{"no secret", "/hook", "", "/hook/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hook := bpListen(t, nil)
			rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL + tc.path, WebhookSecret: tc.secret})
			rig.join("anna")
			rig.send("anna", "silent")
			heard := hook.all()
			if len(heard) != 1 {
				t.Fatalf("%d posts", len(heard))
			}
			h := heard[0]
			if h.method != "POST" || h.uri != tc.uri || h.text("type") != "message_created" || h.at("data.isBot") != false {
				t.Errorf("%s %s %s", h.method, h.uri, h.body)
			}
			if got, there := h.header["X-Secret-Key"]; there != (tc.secret != "") || there && got[0] != tc.secret {
				t.Errorf("x-secret-key %q", got)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/json", "User-Agent": "axios/1.2.5", "Content-Length": fmt.Sprint(len(h.body)),
			} {
				if got := h.header.Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
		})
	}
}

func TestBotpressEchoPrecedesResponse(t *testing.T) {
	release, heard := make(chan struct{}), make(chan struct{}, 1)
	hook := bpListen(t, func(bpHeard) int {
		heard <- struct{}{}
		<-release
		return 200
	})
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("anna")
	answered := make(chan bpAnswer, 1)
	go func() { answered <- rig.do("POST", "/messages", "anna", bpTextBody("anna", "silent")) }()
	<-heard
	if got := len(rig.Turns("anna")); got != 1 {
		t.Errorf("%d turns while the echo is out", got)
	}
	select {
	case <-answered:
		t.Error("createMessage answered before the webhook did")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if a := <-answered; a.status != 200 || a.text("message.id") != hook.all()[0].text("data.id") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestBotpressWebhookIsNotRepeated(t *testing.T) {
	for _, status := range []int{204, 301, 302, 307, 400, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			hook := bpListen(t, func(h bpHeard) int {
				if h.uri == "/elsewhere" {
					return 200
				}
				return status
			})
			rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
			rig.join("anna")
			rig.Say("anna", "hi")
			var got []string
			for _, h := range hook.all() {
				got = append(got, fmt.Sprintf("%s %s %v", h.method, h.uri, h.body != ""))
			}
			want := []string{"POST / true"}
			if status == 301 || status == 302 {
				want = append(want, "GET /elsewhere false")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBotpressWebhookFaults(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault WebhookFault
		heard []string // of the bot's messages 1, 2, 3
		count WebhookCounts
	}{
		{"skip", WebhookFault{}, []string{"2", "3"}, WebhookCounts{Sent: 2, OK: 2, Skipped: 1}},
		{"skip the second", WebhookFault{After: 1}, []string{"1", "3"}, WebhookCounts{Sent: 2, OK: 2, Skipped: 1}},
		{"skip two", WebhookFault{Times: 2}, []string{"3"}, WebhookCounts{Sent: 1, OK: 1, Skipped: 2}},
		{"skip all", WebhookFault{Times: -1}, nil, WebhookCounts{Skipped: 3}},
		{"other conversation", WebhookFault{Conversation: "bert"}, []string{"1", "2", "3"}, WebhookCounts{Sent: 3, OK: 3}},
		{"other kind", WebhookFault{Kind: "event_created"}, []string{"1", "2", "3"}, WebhookCounts{Sent: 3, OK: 3}},
		{"cut", WebhookFault{Mode: WebhookCut}, []string{"", "2", "3"}, WebhookCounts{Sent: 3, OK: 2, Failed: 1}},
		{"hang up", WebhookFault{Mode: WebhookHangUp}, []string{"1", "2", "3"}, WebhookCounts{Sent: 3, OK: 2, Failed: 1}},
		{"twice", WebhookFault{Mode: WebhookTwice}, []string{"1", "1", "2", "3"}, WebhookCounts{Sent: 4, OK: 4}},
		{"late", WebhookFault{Mode: WebhookLate, Delay: time.Millisecond}, []string{"1", "2", "3"}, WebhookCounts{Sent: 3, OK: 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hook := bpListen(t, nil)
			rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL, WebhookSecret: "s"})
			rig.join("anna")
			rig.FailWebhook(tc.fault)
			for _, text := range []string{"1", "2", "3"} {
				before := rig.WebhookCounts().Sent
				rig.Say("anna", text)
				for range rig.WebhookCounts().Sent - before { // also what nobody waited for
					<-hook.more
				}
			}
			var got []string
			for _, h := range hook.all() {
				got = append(got, h.text("data.payload.text"))
				if (h.text("data.payload.text") == "") != h.broken {
					t.Errorf("broken %v: %s", h.broken, h.body)
				}
			}
			if diff := cmp.Diff(tc.heard, got); diff != "" {
				t.Error(diff)
			}
			count := rig.WebhookCounts()
			count.Statuses = nil
			if diff := cmp.Diff(tc.count, count); diff != "" {
				t.Error(diff)
			}
			if got := len(rig.Webhooks()); int64(got) != count.Sent+count.Skipped {
				t.Errorf("%d in the log", got)
			}
		})
	}
	t.Run("bad secret", func(t *testing.T) {
		hook := bpListen(t, nil)
		rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL, WebhookSecret: "s"})
		rig.join("anna")
		rig.FailWebhook(WebhookFault{Mode: WebhookBadSecret})
		rig.Say("anna", "1")
		if got := hook.all()[0].header.Get("x-secret-key"); got == "s" || got == "" {
			t.Errorf("secret %q", got)
		}
	})
	t.Run("echoes", func(t *testing.T) {
		hook := bpListen(t, nil)
		rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
		rig.join("anna")
		rig.FailWebhook(WebhookFault{Times: -1})
		rig.send("anna", "silent")
		if got := len(hook.all()); got != 1 {
			t.Errorf("the echo was hit without Echoes: %d", got)
		}
		rig.ClearFaults()
		rig.FailWebhook(WebhookFault{Echoes: true})
		rig.send("anna", "silent")
		if got := len(hook.all()); got != 1 {
			t.Errorf("the echo was not hit: %d", got)
		}
	})
}

func TestBotpressWebhookLogIsBounded(t *testing.T) {
	h := newBPHooks(BotpressConfig{}, nil)
	for i := range bpHookLog + 10 {
		h.record(bpSignal{message: fmt.Sprint(i)}, "", 200, nil, 0)
	}
	b := &Botpress{hooks: h}
	posts := b.Webhooks()
	if len(posts) != bpHookLog || posts[0].MessageID != "10" || posts[bpHookLog-1].MessageID != fmt.Sprint(bpHookLog+9) {
		t.Errorf("%d, %s to %s", len(posts), posts[0].MessageID, posts[len(posts)-1].MessageID)
	}
}

// Whoever says it: within a conversation webhooks go out one at a time, in the order of createdAt.
func TestBotpressWebhookOrder(t *testing.T) {
	var mu sync.Mutex
	open := map[string]int{}
	hook := bpListen(t, func(h bpHeard) int {
		if h.at("data.isBot") != true {
			return 200
		}
		conv := h.text("data.conversationId")
		mu.Lock()
		open[conv]++
		if open[conv] > 1 {
			t.Errorf("two webhooks of %s at once", conv)
		}
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		open[conv]--
		mu.Unlock()
		return 200
	})
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	var wg sync.WaitGroup
	for c := range 4 {
		conv := fmt.Sprint("c", c)
		rig.join(conv)
		for i := range 10 {
			wg.Go(func() { rig.Say(conv, fmt.Sprint("said ", i)) })
			wg.Go(func() { rig.send(conv, "many 2") })
		}
	}
	wg.Wait()
	rig.idle()
	for _, conv := range rig.Conversations() {
		if got, want := hook.texts(conv), rig.said(conv); !slices.Equal(got, want) || len(want) != 30 {
			t.Errorf("%s: heard %q, said %q", conv, got, want)
		}
		last := time.Time{}
		for _, m := range rig.Messages(conv) {
			if !m.CreatedAt.After(last) {
				t.Errorf("%s: createdAt %v after %v", conv, m.CreatedAt, last)
			}
			last = m.CreatedAt
		}
	}
}

func TestBotpressConversationsAreIndependent(t *testing.T) {
	release := make(chan struct{})
	hook := bpListen(t, func(h bpHeard) int {
		if h.text("data.conversationId") == "stuck" {
			<-release
		}
		return 200
	})
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("stuck")
	rig.join("free")
	go rig.Say("stuck", "x")
	rig.send("free", "hello")
	if _, err := rig.WaitMessages(bpSoon(t), "free", 2); err != nil {
		t.Error(err)
	}
	rig.idle()
	close(release)
}

func TestBotpressReorderedWebhooks(t *testing.T) {
	hook := bpListen(t, nil)
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL, ReorderWebhooks: true})
	rig.join("anna")
	rig.send("anna", "many 5")
	rig.idle()
	said, heard := rig.said("anna"), hook.texts("anna")
	if slices.Equal(said, heard) {
		t.Errorf("in order: %q", heard)
	}
	slices.Sort(heard)
	if diff := cmp.Diff(said, heard); diff != "" {
		t.Error(diff)
	}
}

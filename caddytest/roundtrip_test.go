package caddytest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestRoundTrip sends text and pictures both ways, in each of WeChat's modes.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{simulator.ModePlain, simulator.ModeCompatible, simulator.ModeSafe} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{mode: mode})
			ctx := within(t, 30*time.Second)
			const alice = "oAlice-_1"

			if ok, a := w.wechat.Verify(ctx); !ok {
				t.Fatalf("URL verification failed: %+v", a)
			}
			w.push(w.wechat.Text(alice, `你好, <"world"> & ]]> 👩‍👩‍👧`))
			w.expect(alice, `echo: 你好, <"world"> & ]]> 👩‍👩‍👧`)

			picture := w.wechat.Image(alice)
			w.push(picture)
			seen, err := w.wechat.Wait(ctx, alice, 2)
			if err != nil {
				t.Fatal(err)
			}
			turns := w.botpress.Turns(conversation(alice))
			var got struct{ Type, ImageURL string }
			if err := json.Unmarshal(turns[1].Payload, &got); err != nil || got.Type != "image" {
				t.Fatalf("the bot got %s (%v), want an image", turns[1].Payload, err)
			}
			if want := "image: " + got.ImageURL; seen[1].Text != want {
				t.Errorf("the user read %q, want %q", seen[1].Text, want)
			}

			w.push(w.wechat.Text(alice, "image"))
			if seen, err = w.wechat.Wait(ctx, alice, 3); err != nil {
				t.Fatal(err)
			}
			if s := seen[2]; s.Type != "image" || s.Media == nil || !bytes.HasPrefix(s.Media.Bytes(), []byte("\x89PNG")) {
				t.Errorf("the user saw %+v, want the bot's PNG", s)
			}

			w.checkMetadata(alice, turns[0])
		})
	}
}

// push sends something as a user does, and fails the test unless the answer
// was success, or a reply, at the first attempt.
func (w *world) push(p simulator.SimPush) {
	w.t.Helper()
	d := w.wechat.Push(within(w.t, 30*time.Second), p)
	if !d.Accepted() || len(d.Attempts) != 1 {
		w.t.Fatalf("push of %s %s: %+v", p.MsgType, p.Event, d)
	}
}

// expect waits for messages and compares all that the user has read.
func (w *world) expect(openid string, want ...string) {
	w.t.Helper()
	seen, err := w.wechat.Wait(within(w.t, 30*time.Second), openid, len(want))
	if diff := cmp.Diff(want, texts(seen)); diff != "" {
		w.t.Fatalf("%s read (-want +got, %v):\n%s", openid, err, diff)
	}
}

// checkMetadata compares what a message tells the bot about where it is from.
func (w *world) checkMetadata(openid string, turn simulator.Turn) {
	w.t.Helper()
	id, _ := turn.Metadata["wechatMsgId"].(string)
	want := map[string]any{"wechatMsgId": id, "appId": appID, "openid": openid, "type": "text"}
	if diff := cmp.Diff(want, turn.Metadata); diff != "" || id == "" {
		w.t.Errorf("metadata (-want +got):\n%s", diff)
	}
	user, ok := w.botpress.User(conversation(openid))
	var profile map[string]any
	if err := json.Unmarshal([]byte(user.Profile), &profile); err != nil || !ok {
		w.t.Fatalf("the user's profile %q: %v", user.Profile, err)
	}
	want = map[string]any{"channel": "wechat", "appId": appID, "openid": openid}
	if diff := cmp.Diff(want, profile); diff != "" {
		w.t.Errorf("profile (-want +got):\n%s", diff)
	}
}

// TestPartOfReply: what cannot be sent of a reply does not take the rest with it;
// a user who cannot be reached does.
func TestPartOfReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	w.push(w.wechat.Text("oAlice", "hello"))
	w.push(w.wechat.Text("oBob", "hello"))
	w.expect("oAlice", "echo: hello")
	w.expect("oBob", "echo: hello")

	bloc := map[string]any{"type": "bloc", "items": []any{
		map[string]any{"type": "text", "text": "one"},
		map[string]any{"type": "text", "text": "two"},
		map[string]any{"type": "text", "text": "three"},
	}}
	const send = "/cgi-bin/message/custom/send"
	w.wechat.Fail(simulator.WeChatFault{Path: send, OpenID: "oAlice", Skip: 1, Times: 1, Code: 40008})
	w.wechat.Fail(simulator.WeChatFault{Path: send, OpenID: "oBob", Skip: 1, Times: 1, Code: 43004})
	w.botpress.Say(conversation("oAlice"), bloc)
	w.expect("oAlice", "echo: hello", "one", "three")
	w.botpress.Say(conversation("oBob"), bloc)
	w.botpress.Say(conversation("oBob"), map[string]any{"type": "text", "text": "later"})
	w.expect("oBob", "echo: hello", "one", "later")
	for _, line := range []string{"part of a reply put aside as dead letter", "reply dropped: user cannot be reached"} {
		if n := len(w.caddy.log.await(1, line)); n != 1 {
			t.Errorf("the log says %d times: %s", n, line)
		}
	}
}

package journal

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func choiceOf(ref string, at time.Time) Choice {
	return Choice{
		Account: "app", OpenID: "u", Ref: ref, MessageID: "m" + ref, At: at,
		Options: []Option{{Number: 1, Label: "Yes", Value: "y"}},
	}
}

// latest is which choice was the bot's latest message at a time, empty for none.
func latest(t *testing.T, j *Journal, at time.Time) string {
	t.Helper()
	c, _, err := j.LatestChoice(context.Background(), "app", "u", at, 9)
	noErr(t, err)
	return c.Ref
}

// TestChoices: a choice is the latest thing shown from when it was shown until another reply is, and is
// remembered for longer.
func TestChoices(t *testing.T) {
	ctx := context.Background()
	cl := newClock()
	j := testOpen(t, Config{Now: cl.Now})
	began := cl.Now().Local()
	noErr(t, j.Offer(ctx, choiceOf("1", began)))
	noErr(t, j.Sent(ctx, Sent{Account: "app", OpenID: "u", Shown: "m1"}))
	if got := latest(t, j, began.Add(-time.Millisecond)); got != "" {
		t.Errorf("before it was shown, %q was the latest", got)
	}
	if got := latest(t, j, began); got != "1" {
		t.Errorf("latest is %q, want 1", got)
	}
	cl.Add(time.Minute)
	noErr(t, j.Sent(ctx, Sent{Account: "app", OpenID: "other", Shown: "m7"}))
	noErr(t, j.Sent(ctx, Sent{Account: "app", OpenID: "u"})) // nothing of the bot's
	if got := latest(t, j, cl.Now()); got != "1" {
		t.Errorf("latest is %q, want 1 still", got)
	}
	noErr(t, j.Sent(ctx, Sent{Account: "app", OpenID: "u", Shown: "m2"}))
	// What is shown in the millisecond of a push was not read before it.
	for at, want := range map[time.Time]string{began.Add(time.Second): "1", cl.Now(): "1", cl.Now().Add(time.Millisecond): ""} {
		if got := latest(t, j, at); got != want {
			t.Errorf("at %v latest is %q, want %q", at, got, want)
		}
	}
	c, found, err := j.Choice(ctx, "app", "u", "1")
	noErr(t, err)
	if diff := cmp.Diff(choiceOf("1", began), c); diff != "" || !found {
		t.Errorf("found %v (-want +got):\n%s", found, diff)
	}
	if _, found, err = j.Choice(ctx, "app", "other", "1"); found || err != nil {
		t.Errorf("it is another user's too: %v", err)
	}

	noErr(t, j.Offer(ctx, choiceOf("1", cl.Now()))) // shown again
	if got := latest(t, j, cl.Now()); got != "1" {
		t.Errorf("shown again, latest is %q", got)
	}
	second := choiceOf("2", cl.Now())
	second.Answers = 9
	noErr(t, j.Offer(ctx, second))
	if got := latest(t, j, cl.Now()); got != "1" {
		t.Errorf("latest before push 9 is %q, which was the answer to it", got)
	}
	second.Answers = 8
	second.At = cl.Now().Add(time.Millisecond)
	noErr(t, j.Offer(ctx, second))
	if got := latest(t, j, second.At); got != "2" {
		t.Errorf("latest is %q, want 2", got)
	}
	noErr(t, j.Withdraw(ctx, "app", "u", []string{"2"}))
	if got := latest(t, j, cl.Now()); got != "1" {
		t.Errorf("the other is withdrawn, latest is %q", got)
	}
	leaves(t, j, "u", cl.Now())
	if _, found, err = j.Choice(ctx, "app", "u", "1"); found || err != nil {
		t.Errorf("a user who has left has a choice: %v", err)
	}
	late := choiceOf("1", cl.Now().Add(time.Second))
	late.Decided = cl.Now() // and shown when the user had left
	noErr(t, j.Offer(ctx, late))
	if _, found, err = j.Choice(ctx, "app", "u", "1"); found || err != nil {
		t.Errorf("a user who has left has another choice: %v", err)
	}
	late.Decided = cl.Now().Add(time.Second)
	noErr(t, j.Offer(ctx, late))
	if _, found, err = j.Choice(ctx, "app", "u", "1"); !found || err != nil {
		t.Errorf("a user who came back has no choice: %v", err)
	}
}

// TestUploads: a file is known as long as it lives, or until WeChat says otherwise.
func TestUploads(t *testing.T) {
	ctx := context.Background()
	cl := newClock()
	j := testOpen(t, Config{Now: cl.Now})
	until := cl.Now().Add(time.Hour).Local()
	u := Upload{Account: "app", Hash: "h", Kind: "image", MediaID: "id", Until: until, CheckedAt: cl.Now().Local()}
	other := u
	other.Hash = "g"
	noErr(t, j.PutUploads(ctx, []Upload{u, other}))
	got, found, err := j.Upload(ctx, "app", "h", "image")
	noErr(t, err)
	if diff := cmp.Diff(u, got); diff != "" || !found {
		t.Errorf("found %v (-want +got):\n%s", found, diff)
	}
	for _, key := range [][3]string{{"app", "h", "voice"}, {"app", "x", "image"}, {"other", "h", "image"}} {
		if _, found, err = j.Upload(ctx, key[0], key[1], key[2]); found || err != nil {
			t.Errorf("%v is found: %v", key, err)
		}
	}
	noErr(t, j.ForgetUpload(ctx, "app", "id"))
	if _, found, err = j.Upload(ctx, "app", "g", "image"); found || err != nil {
		t.Errorf("what was forgotten is found: %v", err)
	}
	noErr(t, j.PutUploads(ctx, []Upload{u}))
	cl.Add(time.Hour)
	if _, found, err = j.Upload(ctx, "app", "h", "image"); found || err != nil {
		t.Errorf("what is over is found: %v", err)
	}
}

// TestPruneContent: what is of no use any more goes, also if it is much.
func TestPruneContent(t *testing.T) {
	ctx := context.Background()
	cl := newClock()
	j := testOpen(t, Config{Now: cl.Now})
	for i := range 2*pruneChunk + 1 {
		noErr(t, j.Offer(ctx, choiceOf(fmt.Sprint(i), cl.Now())))
	}
	noErr(t, j.PutUploads(ctx, []Upload{{Account: "app", Hash: "h", Kind: "image", MediaID: "id", Until: cl.Now().Add(time.Hour)}}))
	if n, err := j.Prune(ctx); n != 0 || err != nil {
		t.Errorf("%d rows went, %v", n, err)
	}
	cl.Add(choiceKeep + time.Millisecond)
	noErr(t, j.Offer(ctx, choiceOf("new", cl.Now())))
	if n, err := j.Prune(ctx); n != 2*pruneChunk+2 || err != nil {
		t.Errorf("%d rows went, %v", n, err)
	}
	if got := latest(t, j, cl.Now()); got != "new" {
		t.Errorf("latest is %q", got)
	}
}

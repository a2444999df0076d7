package journal

import (
	"context"
	"testing"
)

func TestKeys(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	j := testOpen(t, Config{Dir: dir})
	holds := func(openid, bot, want string, of int) {
		t.Helper()
		generation, key, err := j.Key(ctx, "app", openid, bot)
		noErr(t, err)
		if key != want || generation != of {
			t.Errorf("key of %s at %s: %q of generation %d, want %q of %d", openid, bot, key, generation, want, of)
		}
	}
	holds("u", "b", "", 0)
	noErr(t, j.PutKey(ctx, "app", "u", "b", 0, "first"))
	noErr(t, j.PutKey(ctx, "app", "u", "other", 7, "elsewhere"))
	noErr(t, j.PutKey(ctx, "app", "v", "b", 1, "another's"))
	noErr(t, j.PutKey(ctx, "app", "u", "b", 2, "second"))
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Bot: "other", Conversation: "c"}))
	noErr(t, j.Close())

	j = testOpen(t, Config{Dir: dir})
	holds("u", "b", "second", 2)
	holds("u", "other", "elsewhere", 7)
	holds("v", "b", "another's", 1)
	if _, key, err := j.Key(ctx, "another app", "u", "b"); key != "" || err != nil {
		t.Errorf("another account has %q, %v", key, err)
	}
}

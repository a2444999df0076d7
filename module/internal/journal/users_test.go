package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPutUser(t *testing.T) {
	ctx := context.Background()
	at := func(s int) time.Time { return time.Unix(int64(s), 0).UTC() }
	full := User{Account: "app", OpenID: "u", Conversation: "c", Bot: "b", Generation: 3, Watermark: Mark{at(5), "m"}, ActiveAt: at(9), Epoch: 7}
	tests := map[string]struct {
		puts []User
		want User
	}{
		"new": {[]User{full}, full},
		"new, bare": {
			[]User{{Account: "app", OpenID: "u"}},
			User{Account: "app", OpenID: "u"},
		},
		"another conversation of the bot": {
			[]User{full, {Account: "app", OpenID: "u", Conversation: "c2", Bot: "b", Generation: 4, Watermark: Mark{at(3), "l"}, Epoch: 8}},
			User{Account: "app", OpenID: "u", Conversation: "c2", Bot: "b", Generation: 4, Watermark: Mark{at(3), "l"}, ActiveAt: at(9), Epoch: 8},
		},
		"another bot": {
			[]User{full, {Account: "app", OpenID: "u", Conversation: "c", Bot: "b2", Generation: 3}},
			User{Account: "app", OpenID: "u", Conversation: "c", Bot: "b2", Generation: 3, ActiveAt: at(9)},
		},
		"watermark of the same conversation stays": {
			[]User{full, {Account: "app", OpenID: "u", Conversation: "c", Bot: "b", Generation: 3, Watermark: Mark{at(99), "z"}}},
			User{Account: "app", OpenID: "u", Conversation: "c", Bot: "b", Generation: 3, Watermark: Mark{at(5), "m"}, ActiveAt: at(9)},
		},
		"watermark where there is none": {
			[]User{{Account: "app", OpenID: "u"}, {Account: "app", OpenID: "u", Watermark: Mark{at(7), "z"}}},
			User{Account: "app", OpenID: "u", Watermark: Mark{at(7), "z"}},
		},
		"activity goes forward": {
			[]User{full, {Account: "app", OpenID: "u", Bot: "b", Generation: 3, ActiveAt: at(10)}},
			User{Account: "app", OpenID: "u", Bot: "b", Generation: 3, Watermark: Mark{at(5), "m"}, ActiveAt: at(10)},
		},
		"activity does not go back": {
			[]User{full, {Account: "app", OpenID: "u", Bot: "b", Generation: 3, ActiveAt: at(8)}},
			User{Account: "app", OpenID: "u", Bot: "b", Generation: 3, Watermark: Mark{at(5), "m"}, ActiveAt: at(9)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := testOpen(t, Config{})
			for _, u := range test.puts {
				noErr(t, j.PutUser(ctx, u))
			}
			got, found, err := j.User(ctx, "app", "u")
			if !found || err != nil {
				t.Fatalf("found %v, error %v", found, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConversations(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Conversation: "c"}))
	noErr(t, j.PutUser(ctx, User{Account: "other", OpenID: "w", Conversation: "c"}))
	for _, openid := range []string{"x", "y"} { // any number may have none
		noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: openid}))
	}
	if err := j.PutUser(ctx, User{Account: "app", OpenID: "v", Conversation: "c"}); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("another user's conversation: error %v", err)
	}
	for conversation, want := range map[string]string{"c": "u", "": "", "d": ""} {
		u, found, err := j.UserByConversation(ctx, "app", conversation)
		if err != nil || found != (want != "") || u.OpenID != want {
			t.Errorf("conversation %q: user %q, found %v, error %v, want %q", conversation, u.OpenID, found, err, want)
		}
	}
	if _, found, err := j.User(ctx, "app", "nobody"); found || err != nil {
		t.Errorf("nobody: found %v, error %v", found, err)
	}
}

func TestActiveUsers(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	for i, openid := range []string{"e", "d", "c", "b", "a"} {
		noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: openid, ActiveAt: time.Unix(int64(i+1), 0)}))
	}
	noErr(t, j.PutUser(ctx, User{Account: "other", OpenID: "c", ActiveAt: time.Unix(100, 0)}))
	tests := []struct {
		since int64
		after string
		limit int
		want  string
	}{
		{3, "", 10, "[a b c]"},
		{3, "", 2, "[a b]"},
		{3, "b", 10, "[c]"},
		{3, "c", 10, "[]"},
		{6, "", 10, "[]"},
		{0, "", 10, "[a b c d e]"},
	}
	for _, test := range tests {
		list, err := j.ActiveUsers(ctx, "app", time.Unix(test.since, 0), test.after, test.limit)
		noErr(t, err)
		names := []string{}
		for _, u := range list {
			names = append(names, u.OpenID)
		}
		if got := fmt.Sprint(names); got != test.want {
			t.Errorf("since %d after %q limit %d: %s, want %s", test.since, test.after, test.limit, got, test.want)
		}
	}
}

func TestState(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	if v, found, err := j.State(ctx, "app", "n"); v != "" || found || err != nil {
		t.Errorf("unset: %q, %v, %v", v, found, err)
	}
	noErr(t, j.SetState(ctx, "app", "n", "1"))
	noErr(t, j.SetState(ctx, "app", "n", ""))
	noErr(t, j.SetState(ctx, "other", "n", "2"))
	if v, found, err := j.State(ctx, "app", "n"); v != "" || !found || err != nil {
		t.Errorf("set: %q, %v, %v", v, found, err)
	}
}

func TestMarkCompare(t *testing.T) {
	ordered := []Mark{{}, {time.UnixMilli(1), ""}, {time.UnixMilli(1), "a"}, {time.UnixMilli(1), "b"}, {time.UnixMilli(2), "a"}}
	for i, a := range ordered {
		for k, b := range ordered {
			want := 0
			if i < k {
				want = -1
			} else if i > k {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
	if (Mark{time.UnixMilli(1).Add(time.Microsecond), "a"}).Compare(Mark{time.UnixMilli(1), "a"}) != 0 {
		t.Error("what is stored as the same compares as different")
	}
}

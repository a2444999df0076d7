package journal

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBegin(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	j := testOpen(t, Config{Dir: dir})
	begin := func(account string, epoch, last int64) {
		t.Helper()
		e, l, err := j.Begin(ctx, account)
		if e != epoch || l != last || err != nil {
			t.Errorf("start of %s: %d, %d, %v, want %d, %d", account, e, l, err, epoch, last)
		}
	}
	begin("app", 1, 0)
	id := push(t, j, "u", "k")
	begin("app", 2, id)
	begin("other", 1, id)
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir})
	begin("app", 3, id)
}

func TestAppendFirstListing(t *testing.T) {
	ctx := context.Background()
	tests := map[string]struct {
		listed    []Reply
		fresh     int
		watermark Mark
		waiting   []string
	}{
		"nothing": {watermark: Mark{time.Unix(1, 0).UTC(), "m"}, waiting: []string{"n"}},
		"something": {
			listed: []Reply{said("o", 3), said("n", 2), said("m", 1)},
			fresh:  1, watermark: Mark{time.Unix(2, 0).UTC(), "n"}, waiting: []string{"n", "o"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := testOpen(t, Config{})
			for _, openid := range []string{"u", "v"} {
				noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: openid, Watermark: Mark{time.Unix(1, 0), "m"}, Epoch: 1}))
			}
			_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("n", 2)})
			noErr(t, err)
			fresh, err := j.AppendFirstListing(ctx, "app", "u", 2, test.listed)
			if fresh != test.fresh || err != nil {
				t.Errorf("fresh %d, error %v, want %d", fresh, err, test.fresh)
			}
			if diff := cmp.Diff(test.waiting, replies(t, j, "u")); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
			u, _, err := j.User(ctx, "app", "u")
			noErr(t, err)
			if diff := cmp.Diff(test.watermark, u.Watermark); diff != "" || u.Epoch != 2 {
				t.Errorf("epoch %d, want 2; watermark (-want +got):\n%s", u.Epoch, diff)
			}
			if v, _, _ := j.User(ctx, "app", "v"); v.Epoch != 1 {
				t.Errorf("epoch of the other user is %d", v.Epoch)
			}
		})
	}
}

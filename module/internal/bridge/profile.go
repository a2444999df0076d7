package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// profileTime is how long asking for a profile may hold up its user's messages.
	profileTime = 3 * time.Second

	// profileRest is for how long nobody is asked about after WeChat did not answer.
	profileRest = time.Minute
)

// profile is what the bot reads in a user's profile.
type profile struct {
	Channel string `json:"channel"`
	AppID   string `json:"appId"`
	OpenID  string `json:"openid"`
	disclosed
}

// disclosed is what WeChat tells of a user, in the profile and in the journal.
type disclosed struct {
	UnionID string `json:"unionid,omitempty"`
	Since   int64  `json:"subscribeTime,omitempty"` // Unix seconds
	Scene   string `json:"scene,omitempty"`
	Remark  string `json:"remark,omitempty"`
}

// nothing is what is recorded of a user of whom WeChat tells nothing.
const nothing = "{}"

func (rt *Runtime) peer(u journal.User) bots.Peer {
	p := profile{Channel: "wechat", AppID: rt.appid, OpenID: u.OpenID}
	about, _ := json.Marshal(p)
	if rt.current.Load().Profile && u.Profile != "" && json.Unmarshal([]byte(u.Profile), &p.disclosed) == nil {
		// An openid need not be as short as WeChat's are.
		if more, _ := json.Marshal(p); len(more) <= botpress.MaxProfileLength {
			about = more
		}
	}
	return bots.Peer{
		AppID:      rt.appid,
		OpenID:     u.OpenID,
		Generation: u.Generation,
		Profile:    string(about),
	}
}

// askProfile asks WeChat about a user of whom it has not been asked, or who has
// come to follow the account just now. It returns whether there is an answer. A
// message never waits for more than one question.
func (rt *Runtime) askProfile(d *delivery, u journal.User) (answer string, ok bool) {
	c := rt.current.Load()
	if !c.Profile || past(u, d.row) || u.Profile != "" && !d.follows || d.asked {
		return d.profile, d.profile != ""
	}
	d.asked = true
	if rt.unasked.lasts() {
		return "", false
	}
	ctx, cancel := context.WithTimeout(rt.calls, profileTime)
	defer cancel()
	info, err := c.client.UserInfo(ctx, d.row.OpenID)
	var e *wechat.Error
	switch {
	case err == nil:
		about, _ := json.Marshal(disclosed{UnionID: atMost(info.UnionID, 64), Since: info.SubscribeTime, Scene: atMost(info.Scene, 64), Remark: atMost(info.Remark, 60)})
		d.profile = string(about)
	case errors.As(err, &e) && e.Action() == wechat.ActionNoPermission:
		rt.unasked.begin(denialLasts)
		rt.logger().Debug("account may not ask about its users", zap.Error(err))
	case errors.As(err, &e) && e.Action() == wechat.ActionDrop:
		d.profile = nothing
	default:
		rt.unasked.begin(profileRest)
		rt.logger().Debug("asking about a user", zap.Error(err))
	}
	return d.profile, d.profile != ""
}

// keepProfile records what WeChat told of a user, who is known by now, unless the
// user has left since the push in whose course it was asked.
func (rt *Runtime) keepProfile(row journal.Push, answer string) error {
	return rt.persist(rt.calls, "recording profile", func(ctx context.Context, j *journal.Journal) error {
		return j.SetProfile(ctx, rt.appid, row.OpenID, answer, row.ReceivedAt)
	})
}

// atMost keeps at most n characters.
func atMost(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

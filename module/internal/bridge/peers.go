package bridge

import (
	"encoding/json"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// profile is what the bot reads in a user's profile.
type profile struct {
	Channel string `json:"channel"`
	AppID   string `json:"appId"`
	OpenID  string `json:"openid"`
}

func (rt *Runtime) peer(u journal.User) bots.Peer {
	about, _ := json.Marshal(profile{Channel: "wechat", AppID: rt.appid, OpenID: u.OpenID})
	return bots.Peer{
		AppID:      rt.appid,
		OpenID:     u.OpenID,
		Generation: u.Generation,
		Profile:    string(about),
	}
}

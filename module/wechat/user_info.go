package wechat

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// UserInfo is what WeChat still tells of a user. Name, picture, sex and region are
// not told any more since 2021.
type UserInfo struct {
	// Subscribed says that the user follows the account. Of others nothing else is
	// told.
	Subscribed bool
	// SubscribeTime is when the user last came to follow, in Unix seconds; 0 if it
	// is not told.
	SubscribeTime int64
	// UnionID is the same in all accounts and apps that their owner has linked;
	// empty if there is no such link.
	UnionID string
	// Scene is how the user came to follow, such as ADD_SCENE_QR_CODE
	// (subscribe_scene).
	Scene string
	// Remark is what the account's staff have called the user.
	Remark string
}

// UserInfo asks for what WeChat tells of a user. (WeChat: user management, basic
// information.)
func (c *Client) UserInfo(ctx context.Context, openid string) (UserInfo, error) {
	var answer struct {
		Subscribe json.Number `json:"subscribe"`
		Time      json.Number `json:"subscribe_time"`
		UnionID   string      `json:"unionid"`
		Scene     string      `json:"subscribe_scene"`
		Remark    string      `json:"remark"`
	}
	err := c.call(ctx, request{
		method:     http.MethodGet,
		path:       pathUserInfo,
		query:      url.Values{"openid": {openid}, "lang": {"zh_CN"}},
		timeout:    c.timeout,
		repeatable: true,
	}, &answer)
	if err != nil {
		return UserInfo{}, err
	}
	since, err := answer.Time.Int64()
	if err != nil {
		since = 0 // a detail
	}
	return UserInfo{
		Subscribed:    answer.Subscribe != "" && answer.Subscribe != "0",
		SubscribeTime: since,
		UnionID:       cleanText(answer.UnionID),
		Scene:         cleanText(answer.Scene),
		Remark:        cleanText(answer.Remark),
	}, nil
}

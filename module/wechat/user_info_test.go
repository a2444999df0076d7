package wechat

import (
	"net/http"
	"testing"
)

func TestUserInfo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, answer string
		want         UserInfo
		fail         bool
	}{
		{
			name: "follower",
			answer: `{"subscribe":1,"openid":"oA","nickname":"","sex":0,"subscribe_time":1700000000,"unionid":"uA",` +
				`"remark":"老客户\u0007","groupid":0,"tagid_list":[128,2],"subscribe_scene":"ADD_SCENE_QR_CODE","qr_scene":98765,"qr_scene_str":""}`,
			want: UserInfo{Subscribed: true, SubscribeTime: 1700000000, UnionID: "uA", Scene: "ADD_SCENE_QR_CODE", Remark: "老客户"},
		},
		{name: "follower without a linked app", answer: `{"subscribe":1,"openid":"oA","remark":""}`, want: UserInfo{Subscribed: true}},
		{name: "no follower", answer: `{"subscribe":0,"openid":"oA"}`},
		{name: "not allowed", answer: `{"errcode":48001,"errmsg":"api unauthorized"}`, fail: true},
		{name: "not JSON", answer: `<html>`, fail: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) {
				if q := r.URL.Query(); r.URL.Path != pathUserInfo || q.Get("openid") != "oA" || q.Get("lang") != "zh_CN" {
					t.Errorf("asked for %s", r.URL)
				}
				return answer(tc.answer), nil
			}}
			got, err := mustClient(t, cl).UserInfo(t.Context(), "oA")
			if (err != nil) != tc.fail || got != tc.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

package wechat

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	pathQRCode  = "/cgi-bin/qrcode/create"
	showQRCode  = "https://mp.weixin.qq.com/cgi-bin/showqrcode"
	maxScene    = 64 // bytes
	maxSceneAge = 30 * 24 * time.Hour
)

// QRCode leads whoever scans it to the account: new users follow it by that
// (subscribe), followers come back (SCAN), and the event names the scene.
type QRCode struct {
	// Ticket is WeChat's id of the code.
	Ticket string
	// URL is what the code holds, for those who draw it themselves.
	URL string
	// Expires is how long it works; 0 for good.
	Expires time.Duration
}

// Image is the address of the code as a picture.
func (q QRCode) Image() string { return showQRCode + "?ticket=" + url.QueryEscape(q.Ticket) }

// CreateQRCode makes a QR code for a scene of 1 to 64 bytes. It works for life, at
// most 30 days, or for good if that is 0: an account has 100 000 such codes, and
// they cannot be taken back. (WeChat: parametric QR codes.)
func (c *Client) CreateQRCode(ctx context.Context, scene string, life time.Duration) (QRCode, error) {
	switch {
	case scene == "" || len(scene) > maxScene || cleanText(scene) != scene:
		return QRCode{}, fmt.Errorf("making QR code: a scene is of 1 to %d bytes, without control characters", maxScene)
	case life < 0 || life > maxSceneAge || life > 0 && life < time.Second:
		return QRCode{}, fmt.Errorf("making QR code: it may live for 1 s to %v", maxSceneAge)
	}
	type sceneInfo struct {
		Scene struct {
			Str string `json:"scene_str"`
		} `json:"scene"`
	}
	body := struct {
		Expire int64     `json:"expire_seconds,omitempty"`
		Action string    `json:"action_name"`
		Info   sceneInfo `json:"action_info"`
	}{Expire: int64(life / time.Second), Action: "QR_LIMIT_STR_SCENE"}
	if life > 0 {
		body.Action = "QR_STR_SCENE"
	}
	body.Info.Scene.Str = scene
	var answer struct {
		Ticket string `json:"ticket"`
		Expire int64  `json:"expire_seconds"`
		URL    string `json:"url"`
	}
	if err := c.post(ctx, pathQRCode, body, &answer); err != nil {
		return QRCode{}, err
	}
	if answer.Ticket == "" {
		return QRCode{}, &TransportError{API: pathQRCode, Status: http.StatusOK, reason: "the answer holds no ticket"}
	}
	expires := time.Duration(min(max(answer.Expire, 0), int64(maxSceneAge/time.Second))) * time.Second
	return QRCode{Ticket: cleanText(answer.Ticket), URL: cleanText(answer.URL), Expires: expires}, nil
}

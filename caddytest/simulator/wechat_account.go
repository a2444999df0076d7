package simulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// wcAccount is what the account itself has: its menu and its QR codes.
type wcAccount struct {
	mu      sync.Mutex
	menu    json.RawMessage
	tickets map[string]wcQR
}

type wcQR struct {
	scene string
	until time.Time // zero = for good
}

func (a *wcAccount) init() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.menu, a.tickets = nil, map[string]wcQR{}
}

// Menu returns the menu as it was created, or nil.
func (w *WeChat) Menu() json.RawMessage {
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	return w.account.menu
}

// Scan is what happens when openid scans the QR code with that ticket: subscribe for
// someone new, SCAN for a follower. ok is false if the code does not exist or has expired.
func (w *WeChat) Scan(openid, ticket string) (p SimPush, ok bool) {
	w.account.mu.Lock()
	qr, ok := w.account.tickets[ticket]
	w.account.mu.Unlock()
	if !ok || (!qr.until.IsZero() && !w.now().Before(qr.until)) {
		return SimPush{}, false
	}
	u := w.user(openid, true)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.following {
		p = w.Event(openid, "SCAN", qr.scene)
	} else {
		p = w.Event(openid, "subscribe", "qrscene_"+qr.scene)
		u.scene = qr.scene
	}
	p.Inner = wcElem("Ticket", ticket)
	return p, true
}

// apiUserInfo is GET /cgi-bin/user/info. Names, pictures and regions are not told any more.
func (w *WeChat) apiUserInfo(rq *wcRequest) (any, error) {
	u := w.user(rq.openid, false)
	if rq.openid == "" || u == nil {
		return nil, wcFail(40003, "invalid openid")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.following {
		return map[string]any{"subscribe": 0, "openid": rq.openid}, nil
	}
	scene, number := "ADD_SCENE_SEARCH", 0
	if u.scene != "" {
		scene = "ADD_SCENE_QR_CODE"
		number, _ = strconv.Atoi(u.scene)
	}
	return map[string]any{
		"subscribe": 1, "openid": rq.openid, "nickname": "", "sex": 0, "language": "", "city": "", "province": "",
		"country": "", "headimgurl": "", "subscribe_time": u.since.Unix(), "unionid": "u" + rq.openid, "remark": "",
		"groupid": 0, "tagid_list": []int{}, "subscribe_scene": scene, "qr_scene": number, "qr_scene_str": u.scene,
	}, nil
}

func (w *WeChat) apiMenuCreate(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	if err := w.createMenu(in, rq.body); err != nil {
		return nil, err
	}
	return wcOK, nil
}

// createMenu checks a menu and puts it in place.
func (w *WeChat) createMenu(in wcObject, raw json.RawMessage) error {
	buttons := in.list("button")
	if len(buttons) < 1 || len(buttons) > 3 {
		return wcFail(40016, "invalid button size")
	}
	for _, b := range buttons {
		if err := checkButton(b, false); err != nil {
			return err
		}
	}
	w.setMenu(raw)
	return nil
}

func (w *WeChat) setMenu(raw json.RawMessage) {
	w.account.mu.Lock()
	w.account.menu = raw
	w.account.mu.Unlock()
	w.tellMenu()
}

// checkButton checks a button or, with sub set, one of its sub-buttons.
func checkButton(v any, sub bool) error {
	m, _ := v.(map[string]any)
	b := wcObject(m)
	name, bound, code := b.str("name"), 16, 40018
	if sub {
		bound, code = 60, 40025
	}
	if name == "" || len(name) > bound {
		return wcFail(code, "invalid button name size")
	}
	if kids := b.list("sub_button"); len(kids) > 0 {
		if sub || b.str("type") != "" || len(kids) > 5 {
			return wcFail(40023, "invalid sub button size")
		}
		for _, k := range kids {
			if err := checkButton(k, true); err != nil {
				return err
			}
		}
		return nil
	}
	need := map[string]string{
		"click": "key", "scancode_push": "key", "scancode_waitmsg": "key", "pic_sysphoto": "key",
		"pic_photo_or_album": "key", "pic_weixin": "key", "location_select": "key", "view": "url",
		"miniprogram": "url", "media_id": "media_id", "view_limited": "media_id", "article_id": "article_id",
		"article_view_limited": "article_id",
	}[b.str("type")]
	value := b.str(need)
	switch {
	case need == "":
		return wcFail(40017, "invalid button type")
	case need == "url" && (value == "" || len(value) > 1024):
		return wcFail(40020, "invalid button url size")
	case value == "" || (need == "key" && len(value) > 128):
		return wcFail(40019, "invalid button key size")
	}
	return nil
}

func (w *WeChat) apiMenuGet(*wcRequest) (any, error) {
	menu := w.Menu()
	if menu == nil {
		return nil, wcFail(46003, "menu no exist")
	}
	return map[string]any{"menu": menu}, nil
}

func (w *WeChat) apiMenuDelete(*wcRequest) (any, error) {
	w.setMenu(nil)
	return wcOK, nil
}

// apiQRCreate is POST /cgi-bin/qrcode/create.
func (w *WeChat) apiQRCreate(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	action := in.str("action_name")
	scene := in.obj("action_info").obj("scene")
	id, isID := scene.num("scene_id")
	text := scene.str("scene_str")
	expire, given := in.num("expire_seconds")
	if !given {
		expire = 60
	}
	switch {
	case action == "QR_SCENE" && isID && id >= 1 && id < 1<<32, action == "QR_LIMIT_SCENE" && isID && id >= 1 && id <= 100000:
		text = strconv.FormatInt(int64(id), 10)
	case (action == "QR_STR_SCENE" || action == "QR_LIMIT_STR_SCENE") && len(text) >= 1 && len(text) <= 64:
	default:
		return nil, wcFail(40053, "invalid action info")
	}
	b := make([]byte, 60)
	rand.Read(b)
	ticket := base64.StdEncoding.EncodeToString(b)
	qr := wcQR{scene: text}
	out := map[string]any{"ticket": ticket, "url": "http://weixin.qq.com/q/" + wcRID()}
	if !strings.Contains(action, "LIMIT") {
		expire = min(max(expire, 1), 2592000)
		qr.until = w.now().Add(time.Duration(expire) * time.Second)
		out["expire_seconds"] = int(expire)
	}
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	w.account.tickets[ticket] = qr
	return out, nil
}

// apiCallbackIP tells the addresses pushes come from: loopback, as they do here, unless
// others are set.
func (w *WeChat) apiCallbackIP(*wcRequest) (any, error) {
	list := w.settings.Load().sources
	if list == nil {
		list = []string{"127.0.0.1", "::1", "101.226.62.0/26"}
	}
	return map[string]any{"ip_list": list}, nil
}

func (w *WeChat) apiDomainIP(*wcRequest) (any, error) {
	return map[string]any{"ip_list": []string{"127.0.0.1"}}, nil
}

// apiCallbackCheck is POST /cgi-bin/callback/check. It reaches out to nobody.
func (w *WeChat) apiCallbackCheck(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	action, operator := in.str("action"), in.str("check_operator")
	switch {
	case w.settings.Load().callback == "":
		return nil, wcFail(40201, "no callback url")
	case !slices.Contains([]string{"all", "dns", "ping"}, action):
		return nil, wcFail(40202, "invalid action")
	case !slices.Contains([]string{"DEFAULT", "CHINANET", "UNICOM", "CAP"}, operator):
		return nil, wcFail(40203, "invalid check_operator")
	}
	out := map[string]any{}
	if action != "ping" {
		out["dns"] = []map[string]string{{"ip": "127.0.0.1", "real_operator": "DEFAULT"}}
	}
	if action != "dns" {
		out["ping"] = []map[string]string{
			{"ip": "127.0.0.1", "from_operator": operator, "package_loss": "0%", "time": "0.079ms"},
		}
	}
	return out, nil
}

func (w *WeChat) apiClearQuota(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	if in.str("appid") != w.settings.Load().appID {
		return nil, wcFail(40013, "invalid appid")
	}
	return wcOK, nil
}

// wcDaily are WeChat's default daily quotas, and a sandbox account's.
var wcDaily = map[string][2]int{
	"/cgi-bin/token": {2000, 200}, "/cgi-bin/message/custom/send": {500000, 50000},
	"/cgi-bin/menu/create": {1000, 100}, "/cgi-bin/menu/get": {10000, 1000}, "/cgi-bin/menu/delete": {1000, 100},
	"/cgi-bin/qrcode/create": {100000, 10000}, "/cgi-bin/user/info": {5000000, 500000},
	"/cgi-bin/media/upload": {100000, 500}, "/cgi-bin/media/get": {200000, 1000},
}

// apiQuotaGet tells what is used of a quota. The simulator counts, but does not enforce:
// 45009 is for WeChatFault.
func (w *WeChat) apiQuotaGet(rq *wcRequest) (any, error) {
	in, err := w.object(rq)
	if err != nil {
		return nil, err
	}
	path := in.str("cgi_path")
	if !strings.HasPrefix(path, "/") {
		return nil, wcFail(76003, "invalid cgi_path")
	}
	daily, ok := wcDaily[path]
	if !ok {
		return nil, wcFail(76021, "cgi_path not found")
	}
	limit := daily[0]
	if w.settings.Load().kind == KindSandbox {
		limit = daily[1]
	}
	used := w.CountCalls(path)
	return map[string]any{
		"errcode": 0, "errmsg": "ok",
		"quota": map[string]int{"daily_limit": limit, "used": used, "remain": max(limit-used, 0)},
	}, nil
}

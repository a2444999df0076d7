package wechat

import (
	"strconv"
	"strings"
)

// Subscribe is a follow (subscribe).
type Subscribe struct {
	// Scene is the scene of the QR code that led to it, without the prefix
	// qrscene_; empty if there was none.
	Scene string
	// Ticket is that code's ticket.
	Ticket string
}

// Unsubscribe is the end of it: the user's data are to be deleted, and no reply
// is possible (unsubscribe).
type Unsubscribe struct{}

// Scan is a scan of the account's QR code by a follower (SCAN).
type Scan struct{ Scene, Ticket string }

// LocationReport is the position that is reported when the chat is entered, or
// every five seconds (LOCATION). Precision is in metres.
type LocationReport struct{ Latitude, Longitude, Precision float64 }

// Click is a tap on a menu button of type click (CLICK).
type Click struct{ Key string }

// View is a tap on a menu button that opens a page (VIEW).
type View struct{ URL, MenuID string }

// ViewMiniProgram is a tap on a menu button that opens a mini program
// (view_miniprogram).
type ViewMiniProgram struct{ Path, MenuID string }

// ScanCode is what the user scanned by a menu button (scancode_push,
// scancode_waitmsg).
type ScanCode struct {
	Key string
	// Type is "qrcode" or the kind of bar code; Result is what it says.
	Type, Result string
	// Wait says that the user is shown that an answer is awaited
	// (scancode_waitmsg).
	Wait bool
}

// PicEvent announces pictures chosen by a menu button; the pictures themselves
// follow as messages (pic_sysphoto, pic_photo_or_album, pic_weixin).
type PicEvent struct {
	Key   string
	Count int
	// MD5 are the sums of the pictures, in hex.
	MD5 []string
}

// LocationSelect announces a place chosen by a menu button; a location message
// follows (location_select).
type LocationSelect struct {
	Key string
	Location
	// POI names the place, if it has a name.
	POI string
}

// TemplateJob tells how the delivery of a template message went
// (TEMPLATESENDJOBFINISH).
type TemplateJob struct {
	MsgID string
	// Status is "success", "failed:user block", "failed: system failed", ...
	Status string
}

// MassJob tells how a broadcast went (MASSSENDJOBFINISH). Its further results are
// in the push's Elements.
type MassJob struct {
	MsgID string
	// Status is "send success", "send fail" or "err(nnnnn)".
	Status                                         string
	TotalCount, FilterCount, SentCount, ErrorCount int
}

// PublishJob tells how the publication of an article went (PUBLISHJOBFINISH). Its
// further results are in the push's Elements.
type PublishJob struct {
	PublishID string
	// Status is 0 for success.
	Status    int
	ArticleID string
}

// KfSession tells that a human agent took the conversation or, if Closed, ended
// it (kf_create_session, kf_close_session).
type KfSession struct {
	Account string
	Closed  bool
}

// KfSwitch tells that one human agent passed the conversation on to another
// (kf_switch_session).
type KfSwitch struct{ From, To string }

// SubscribeChoice is a user's answer to one template of subscription messages.
type SubscribeChoice struct {
	TemplateID string
	// Status is "accept" or "reject".
	Status string
	// Scene is where the user was asked; empty in SubscribeMsgChange.
	Scene string
}

// SubscribeMsgPopup tells what a user answered when asked for subscription
// messages (subscribe_msg_popup_event).
type SubscribeMsgPopup struct{ Choices []SubscribeChoice }

// SubscribeMsgChange tells what a user changed later; WeChat reports refusals only
// (subscribe_msg_change_event).
type SubscribeMsgChange struct{ Choices []SubscribeChoice }

// SubscribeResult tells how the delivery of one subscription message went.
type SubscribeResult struct {
	TemplateID, MsgID string
	// ErrorCode is 0 if it was delivered.
	ErrorCode   int
	ErrorStatus string
}

// SubscribeMsgSent tells how subscription messages were delivered
// (subscribe_msg_sent_event).
type SubscribeMsgSent struct{ Results []SubscribeResult }

// Qualification is about the account's verification: qualification_verify_success
// and _fail, naming_verify_success and _fail, annual_renew, verify_expired. Which
// of them is in the push's Event. Times are Unix seconds, 0 if absent.
type Qualification struct {
	ExpiredTime, FailTime int64
	FailReason            string
}

// Privacy is about a user's consent: user_info_modified,
// user_authorization_revoke, user_authorization_cancellation. Which of them is in
// the push's Event.
type Privacy struct{ OpenID, AppID, RevokeInfo string }

func (*Subscribe) isBody()          {}
func (*Unsubscribe) isBody()        {}
func (*Scan) isBody()               {}
func (*LocationReport) isBody()     {}
func (*Click) isBody()              {}
func (*View) isBody()               {}
func (*ViewMiniProgram) isBody()    {}
func (*ScanCode) isBody()           {}
func (*PicEvent) isBody()           {}
func (*LocationSelect) isBody()     {}
func (*TemplateJob) isBody()        {}
func (*MassJob) isBody()            {}
func (*PublishJob) isBody()         {}
func (*KfSession) isBody()          {}
func (*KfSwitch) isBody()           {}
func (*SubscribeMsgPopup) isBody()  {}
func (*SubscribeMsgChange) isBody() {}
func (*SubscribeMsgSent) isBody()   {}
func (*Qualification) isBody()      {}
func (*Privacy) isBody()            {}

// decodeEvent types an event. Names are matched exactly: some are upper case,
// some lower.
func decodeEvent(p *Push, es elements) Body {
	switch p.Event {
	case "subscribe":
		scene, _ := strings.CutPrefix(p.EventKey, "qrscene_")
		if scene == p.EventKey {
			scene = "" // another kind of key: it stays in EventKey
		}
		return &Subscribe{Scene: scene, Ticket: es.value("Ticket")}
	case "unsubscribe":
		return &Unsubscribe{}
	case "SCAN":
		return &Scan{Scene: p.EventKey, Ticket: es.value("Ticket")}
	case "LOCATION":
		return decodeReport(es)
	case "qualification_verify_success", "naming_verify_success", "annual_renew", "verify_expired",
		"qualification_verify_fail", "naming_verify_fail":
		return &Qualification{
			ExpiredTime: es.seconds("ExpiredTime"), FailTime: es.seconds("FailTime"), FailReason: es.text("FailReason"),
		}
	case "user_info_modified", "user_authorization_revoke", "user_authorization_cancellation":
		return &Privacy{OpenID: es.value("OpenID"), AppID: es.value("AppID"), RevokeInfo: es.value("RevokeInfo")}
	}
	if b := decodeMenuEvent(p, es); b != nil {
		return b
	}
	if b := decodeJobEvent(p.Event, es); b != nil {
		return b
	}
	return &Unknown{}
}

func decodeReport(es elements) Body {
	lat, ok1 := es.degrees("Latitude")
	lon, ok2 := es.degrees("Longitude")
	if !ok1 || !ok2 {
		return &Unknown{}
	}
	precision, _ := es.degrees("Precision")
	return &LocationReport{Latitude: lat, Longitude: lon, Precision: precision}
}

// decodeMenuEvent types what comes of a tap on the account's menu; nil if it is
// none of that.
func decodeMenuEvent(p *Push, es elements) Body {
	switch p.Event {
	case "CLICK":
		return &Click{Key: p.EventKey}
	case "VIEW":
		return &View{URL: p.EventKey, MenuID: es.value("MenuId")}
	case "view_miniprogram":
		return &ViewMiniProgram{Path: p.EventKey, MenuID: es.value("MenuId")}
	case "scancode_push", "scancode_waitmsg":
		info := es.below("ScanCodeInfo")
		return &ScanCode{
			Key: p.EventKey, Type: info.value("ScanType"), Result: info.text("ScanResult"),
			Wait: p.Event == "scancode_waitmsg",
		}
	case "pic_sysphoto", "pic_photo_or_album", "pic_weixin":
		info := es.below("SendPicsInfo")
		b := &PicEvent{Key: p.EventKey, Count: info.integer("Count")}
		for _, item := range info.below("PicList").all("item") {
			b.MD5 = append(b.MD5, elements(item.Children).value("PicMd5Sum"))
		}
		return b
	case "location_select":
		info := es.below("SendLocationInfo")
		place, ok := decodeLocation(info).(*Location)
		if !ok {
			return &Unknown{}
		}
		return &LocationSelect{Key: p.EventKey, Location: *place, POI: info.text("Poiname")}
	}
	return nil
}

// decodeJobEvent types reports on what the account did; nil if it is none.
func decodeJobEvent(event string, es elements) Body {
	switch event {
	case "TEMPLATESENDJOBFINISH":
		return &TemplateJob{MsgID: es.value("MsgID"), Status: es.value("Status")}
	case "MASSSENDJOBFINISH":
		return &MassJob{
			MsgID: es.value("MsgID"), Status: es.value("Status"),
			TotalCount: es.integer("TotalCount"), FilterCount: es.integer("FilterCount"),
			SentCount: es.integer("SentCount"), ErrorCount: es.integer("ErrorCount"),
		}
	case "PUBLISHJOBFINISH":
		info := es.below("PublishEventInfo")
		return &PublishJob{
			PublishID: info.value("publish_id"), Status: info.integer("publish_status"), ArticleID: info.value("article_id"),
		}
	case "kf_create_session", "kf_close_session":
		return &KfSession{Account: es.value("KfAccount"), Closed: event == "kf_close_session"}
	case "kf_switch_session":
		return &KfSwitch{From: es.value("FromKfAccount"), To: es.value("ToKfAccount")}
	case "subscribe_msg_popup_event":
		return &SubscribeMsgPopup{Choices: decodeChoices(es, "SubscribeMsgPopupEvent")}
	case "subscribe_msg_change_event":
		return &SubscribeMsgChange{Choices: decodeChoices(es, "SubscribeMsgChangeEvent")}
	case "subscribe_msg_sent_event":
		b := &SubscribeMsgSent{}
		for _, item := range lists(es, "SubscribeMsgSentEvent") {
			b.Results = append(b.Results, SubscribeResult{
				TemplateID: item.value("TemplateId"), MsgID: item.value("MsgID"),
				ErrorCode: item.integer("ErrorCode"), ErrorStatus: item.value("ErrorStatus"),
			})
		}
		return b
	}
	return nil
}

func decodeChoices(es elements, name string) []SubscribeChoice {
	items := lists(es, name)
	out := make([]SubscribeChoice, 0, len(items))
	for _, item := range items {
		out = append(out, SubscribeChoice{
			TemplateID: item.value("TemplateId"), Status: item.value("SubscribeStatusString"), Scene: item.value("PopupScene"),
		})
	}
	return out
}

// lists gathers the List elements inside the elements of that name: either may be
// repeated.
func lists(es elements, name string) []elements {
	var out []elements
	for _, outer := range es.all(name) {
		for _, item := range elements(outer.Children).all("List") {
			out = append(out, item.Children)
		}
	}
	return out
}

// seconds reads Unix seconds; absent or malformed they are 0.
func (es elements) seconds(name string) int64 {
	n, err := strconv.ParseInt(es.value(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

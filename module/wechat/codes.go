package wechat

// Action is what an error code asks the caller to do.
type Action int

const (
	// ActionRetry asks to try again, with growing pauses (-1).
	ActionRetry Action = iota + 1
	// ActionWait asks to wait a minute and try again: a limit per minute is
	// used up.
	ActionWait
	// ActionRefresh asks to try again later: the access token was refused
	// even after it had been renewed.
	ActionRefresh
	// ActionPark asks to keep the message: WeChat takes no more for this user
	// until the user acts.
	ActionPark
	// ActionDrop asks to drop the message: this user cannot be reached.
	ActionDrop
	// ActionSplit asks to send smaller parts: the content is too long.
	ActionSplit
	// ActionReupload asks to upload anew, once: the media id is not known any
	// more.
	ActionReupload
	// ActionHold asks to send nothing more until the operator has mended what
	// Remedy names.
	ActionHold
	// ActionNoPermission says that the account may not use this API at all.
	ActionNoPermission
	// ActionDropMedia asks to send a text in its place: this medium, or this
	// kind of message, is not taken.
	ActionDropMedia
	// ActionTrim asks to shorten a title, description or address.
	ActionTrim
	// ActionDropAgent asks to send without Agent: WeChat does not know it.
	ActionDropAgent
	// ActionIgnore asks to go on: nothing is lost.
	ActionIgnore
	// ActionBug says that the request itself is wrong, or the code unknown:
	// repeating it cannot help.
	ActionBug
)

// String returns the name without its prefix, in lower case, for logs.
func (a Action) String() string {
	names := [...]string{
		ActionRetry: "retry", ActionWait: "wait", ActionRefresh: "refresh", ActionPark: "park",
		ActionDrop: "drop", ActionSplit: "split", ActionReupload: "reupload", ActionHold: "hold",
		ActionNoPermission: "no_permission", ActionDropMedia: "drop_media", ActionTrim: "trim",
		ActionDropAgent: "drop_agent", ActionIgnore: "ignore", ActionBug: "bug",
	}
	if a <= 0 || int(a) >= len(names) {
		return "unknown"
	}
	return names[a]
}

// rule is what is known of one error code.
type rule struct {
	action Action
	remedy string
}

const (
	confirmRemedy = "Have the account's administrator confirm this server's address in WeChat, then wait."
	noticeRemedy  = "Read the notices in the account's WeChat console: WeChat has restricted it."
)

// codes is the table of global return codes, as far as they can come back from the
// calls made here or are documented beside them (WeChat: Global return codes).
var codes = map[int]rule{
	-1:    {ActionRetry, ""},
	40001: {ActionRefresh, ""},
	40002: {ActionBug, ""},
	40003: {ActionDrop, ""},
	40004: {ActionDropMedia, ""},
	40005: {ActionDropMedia, ""},
	40006: {ActionDropMedia, ""},
	40007: {ActionReupload, ""},
	40008: {ActionBug, ""},
	40009: {ActionDropMedia, ""},
	40010: {ActionDropMedia, ""},
	40011: {ActionDropMedia, ""},
	40012: {ActionDropMedia, ""},
	40013: {ActionHold, "Check app_id: WeChat does not know it."},
	40014: {ActionRefresh, ""},
	40033: {ActionBug, ""},
	40125: {ActionHold, "Check app_secret: WeChat says it is wrong; it may have been reset in the WeChat developer platform."},
	40164: {ActionHold, ""},   // the remedy names the address
	40200: {ActionIgnore, ""}, // typing, for a kind of account that has none
	40201: {ActionBug, ""},
	40202: {ActionBug, ""},
	40203: {ActionBug, ""},
	40243: {ActionHold, "Unfreeze the AppSecret in the WeChat developer platform, or set a new one as app_secret."},
	41001: {ActionBug, ""},
	41002: {ActionBug, ""},
	41004: {ActionBug, ""},
	41005: {ActionBug, ""},
	41006: {ActionBug, ""},
	42001: {ActionRefresh, ""},
	43002: {ActionBug, ""},
	43003: {ActionBug, "Use an https address as api: WeChat refuses plain http."},
	43004: {ActionDrop, ""},
	43019: {ActionDrop, ""},
	43101: {ActionDrop, ""},
	44002: {ActionBug, ""},
	44003: {ActionBug, ""},
	44004: {ActionBug, ""},
	45001: {ActionDropMedia, ""},
	45002: {ActionSplit, ""},
	45003: {ActionTrim, ""},
	45004: {ActionTrim, ""},
	45005: {ActionTrim, ""},
	45006: {ActionTrim, ""},
	45007: {ActionDropMedia, ""},
	45008: {ActionBug, ""},
	45009: {ActionHold, "The day's quota of this API is used up: wait until midnight in China, or clear the quota in the WeChat developer platform."},
	45011: {ActionWait, ""},
	45015: {ActionPark, ""},
	45047: {ActionPark, ""},
	45056: {ActionBug, ""},
	45058: {ActionBug, ""},
	45059: {ActionBug, ""},
	45072: {ActionBug, ""},
	45080: {ActionIgnore, ""},
	45081: {ActionIgnore, ""},
	45157: {ActionBug, ""},
	45158: {ActionBug, ""},
	46004: {ActionDrop, ""},
	47001: {ActionBug, ""},
	48001: {ActionNoPermission, "This account may not use the customer-service API: verify it as an enterprise with WeChat, or use reply passive."},
	48002: {ActionDrop, ""},
	48004: {ActionHold, "WeChat has banned this API for the account. " + noticeRemedy},
	48006: {ActionHold, "The month's resets of quotas are used up: wait until the quota renews itself."},
	48008: {ActionDropMedia, ""},
	49003: {ActionDrop, ""},
	50002: {ActionHold, noticeRemedy},
	50005: {ActionDrop, ""},
	61004: {ActionHold, "Add this server's address to the account's IP allowlist: WeChat does not know it."},
	61024: {ActionHold, "This AppID is run by a third-party platform: withdraw its authorisation, or use an AppID of your own."},
	61450: {ActionDropAgent, ""},
	61451: {ActionDropAgent, ""},
	61452: {ActionDropAgent, ""},
	61453: {ActionDropAgent, ""},
	61454: {ActionDropAgent, ""},
	61455: {ActionDropAgent, ""},
	61456: {ActionDropAgent, ""},
	61457: {ActionDropAgent, ""},
	65400: {ActionDropAgent, ""},
	65401: {ActionDropAgent, ""},
	89503: {ActionHold, confirmRemedy},
	89506: {ActionHold, "The account's administrator refused this server's address: try again after 24 hours, and have it confirmed then."},
	89507: {ActionHold, "The account's administrator refused this server's address: try again after 1 hour, and have it confirmed then."},
}

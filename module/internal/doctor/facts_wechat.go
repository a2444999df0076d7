package doctor

const (
	platformEN = "WeChat developer platform: my business, the account, basic information, development key"
	platformZH = "微信开发者平台：我的业务、该账号、基础信息、开发密钥"
)

// factsOfWeChat are about WeChat's API.
var factsOfWeChat = []fact{
	says("api.unreachable", Fail, "{0} is not reached: {1}", "Does the firewall let this server out, and are api and api_proxy right?",
		"无法访问 {0}：{1}", "请检查防火墙是否允许出站，api 和 api_proxy 是否正确。"),

	says("clock.ok", OK, "it agrees with WeChat's", "", "与微信一致", ""),
	says("clock.unknown", Note, "WeChat does not tell the time", "", "微信没有返回时间", ""),
	says("clock.slow", Fail, "this machine's clock is {0} behind WeChat's", "Set it by NTP (timedatectl set-ntp true).",
		"本机时钟比微信慢 {0}", "请用 NTP 校准（timedatectl set-ntp true）。"),
	says("clock.fast", Fail, "this machine's clock is {0} ahead of WeChat's", "Set it by NTP (timedatectl set-ntp true).",
		"本机时钟比微信快 {0}", "请用 NTP 校准（timedatectl set-ntp true）。"),

	says("token.ok", OK, "WeChat gives it", "", "获取成功", ""),
	says("token.address", Fail, "WeChat refuses the address {0} (error 40164)", "Add {0} to the account's IP allowlist ("+platformEN+"), or go out by an address that is on it (api_proxy).",
		"微信拒绝了地址 {0}（错误 40164）", "请把 {0} 加入该账号的 IP 白名单（"+platformZH+"），或经由白名单中的地址出站（api_proxy）。"),
	says("token.app_id", Fail, "WeChat does not know the AppID {0} (error 40013)", "Copy app_id from WeChat's console again ("+platformEN+").",
		"微信不认识 AppID {0}（错误 40013）", "请重新复制 app_id（"+platformZH+"）。"),
	says("token.secret", Fail, "WeChat says that the AppSecret is wrong (error {0})", "Set app_secret to the one in force; if nobody has it, reset it ("+platformEN+").",
		"微信提示 AppSecret 错误（错误 {0}）", "请把 app_secret 设为当前有效的值；如已遗失，请重置（"+platformZH+"）。"),
	says("token.frozen", Fail, "the AppSecret is frozen (error 40243)", "Unfreeze it, or reset it and set app_secret to the new one ("+platformEN+").",
		"AppSecret 已被冻结（错误 40243）", "请解冻，或重置后更新 app_secret（"+platformZH+"）。"),
	says("token.platform", Fail, "this AppID is run by a third-party platform (error 61024)", "Withdraw its authorisation in WeChat's console, or use an AppID of your own.",
		"该 AppID 由第三方平台管理（错误 61024）", "请在公众平台取消授权，或使用自己的 AppID。"),
	says("token.confirm", Fail, "the account's administrator has to confirm this server, or has refused it (error {0})", "Have the administrator confirm the message in WeChat; after a refusal that takes 1 or 24 hours.",
		"需要管理员确认本服务器，或管理员已拒绝（错误 {0}）", "请管理员在微信中确认；拒绝后需等待 1 或 24 小时。"),
	says("token.quota", Fail, "the quota of access tokens is used up (error {0})", "Find who else fetches tokens with this AppID, and wait, or clear the quota ("+platformEN+").",
		"access_token 的调用次数已用完（错误 {0}）", "请找出还有谁用该 AppID 获取 token，等待恢复或清零（"+platformZH+"）。"),
	says("token.code", Fail, "WeChat refuses it: error {0} ({1})", "Look the code up in WeChat's list of global return codes.",
		"微信拒绝：错误 {0}（{1}）", "请查阅微信的全局返回码。"),
	says("token.unknown", Fail, "it could not be fetched: {0}", "Does something between this server and WeChat change requests? Are api and api_proxy right?",
		"获取失败：{0}", "本服务器与微信之间是否有设备改动请求？api 和 api_proxy 是否正确？"),

	says("rights.ok", OK, "the account may do what the bridge needs", "", "账号具备所需的接口权限", ""),
	says("rights.none", Warn, "the account may neither push messages nor move files nor set a menu (error 48001): it is not verified as an enterprise", "Nothing, if that is known: replies travel as answers. To push, verify the account in WeChat's console.",
		"账号没有客服消息、素材和菜单接口权限（错误 48001）：未经企业认证", "若已知可忽略，回复会以被动方式发送；如需主动推送，请在公众平台完成认证。"),
	says("rights.none_push", Fail, "the account may neither push messages nor move files nor set a menu (error 48001), and `reply push` needs the first", "Take `reply auto`, or verify the account as an enterprise in WeChat's console.",
		"账号没有客服消息、素材和菜单接口权限（错误 48001），而 reply push 需要客服消息", "请改用 reply auto，或在公众平台完成企业认证。"),
	says("rights.send", Warn, "the account may not push messages (error 48001): replies travel only as answers", "Verify the account in WeChat's console, or have the customer-service API granted to it.",
		"账号没有客服消息权限（错误 48001）：只能被动回复", "请在公众平台完成认证，或开通客服消息接口。"),
	says("rights.send_push", Fail, "the account may not push messages (error 48001), and `reply push` needs that", "Take `reply auto`, or have the customer-service API granted to the account.",
		"账号没有客服消息权限（错误 48001），而 reply push 需要它", "请改用 reply auto，或为账号开通客服消息接口。"),
	says("rights.media", Warn, "the account may not move files (error 48001): pictures become cards, and voice from users is not fetched", "Have the media API (素材管理) granted to the account.",
		"账号没有素材接口权限（错误 48001）：图片以卡片发送，用户语音无法下载", "请为账号开通素材管理接口。"),
	says("rights.menu", Warn, "the account may not set a menu by the API (error 48001)", "Nothing, if you set no menu from here.",
		"账号没有自定义菜单接口权限（错误 48001）", "如果不从这里设置菜单，可以忽略。"),
	says("rights.banned", Fail, "WeChat has restricted the account", "Read the notices in WeChat's console.",
		"微信限制了该账号", "请查看公众平台的通知。"),

	says("callback.ok", OK, "WeChat resolves the callback's name to {0} and reaches it", "", "微信将回调域名解析为 {0}，可以访问", ""),
	says("callback.none", Fail, "WeChat knows no callback URL", "Set URL and token in WeChat's console (server configuration, 服务器配置) and enable it.",
		"微信没有回调地址", "请在公众平台的“服务器配置”中填写 URL 和令牌并启用。"),
	says("callback.dns", Fail, "WeChat cannot resolve the name in the callback URL", "Check the URL in WeChat's console, and the name's DNS record as seen from China.",
		"微信无法解析回调地址中的域名", "请检查公众平台中的 URL，以及该域名在国内的解析。"),
	says("callback.loss", Warn, "{0}% of WeChat's pings to the callback's address are lost", "Does a firewall drop them? If messages come all the same, this is harmless.",
		"微信到回调地址的 ping 丢包 {0}%", "是否被防火墙丢弃？如果消息能正常收到，可以忽略。"),
	says("callback.unknown", Note, "WeChat did not check it: {0}", "", "微信未能检测：{0}", ""),
}

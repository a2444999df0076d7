package doctor

// factsOfBot are about Botpress.
var factsOfBot = []fact{
	says("bot.ok", OK, "it answers, takes the key, and has a conversation", "", "可以访问，密钥有效，会话正常", ""),
	says("bot.issued_keys", Note, "without encryption_key there is no user to try the bot with", "",
		"没有 encryption_key，无法以用户身份测试机器人", ""),
	says("bot.other", Note, "it is of the kind {0}, which is not checked", "", "类型为 {0}，不做检查", ""),
	says("bot.unreachable", Fail, "{0} is not reached: {1}", "Does the firewall let this server out, and is the bot's api right?",
		"无法访问 {0}：{1}", "请检查防火墙是否允许出站，bot 的 api 是否正确。"),
	says("bot.webhook_id", Fail, "Botpress does not know the webhook id", "Copy the last part of the webhook URL in the bot's Chat integration again.",
		"Botpress 不认识该 webhook id", "请重新复制机器人 Chat 集成中 webhook URL 的最后一段。"),
	says("bot.key", Fail, "Botpress does not take the users' keys", "Set the same Encryption Key here (encryption_key) and in the bot's Chat integration.",
		"Botpress 不接受用户密钥", "请让此处的 encryption_key 与 Chat 集成中的 Encryption Key 一致。"),
	says("bot.quota", Fail, "the Botpress workspace is out of its plan's allowance", "Raise the plan or the limit in the Botpress dashboard.",
		"Botpress 工作区的额度已用完", "请在 Botpress 控制台提高套餐或上限。"),
	says("bot.conversation", Fail, "a conversation cannot be made: {0}", "Is the Chat integration installed and enabled, and the bot published?",
		"无法创建会话：{0}", "Chat 集成是否已安装并启用？机器人是否已发布？"),
	says("bot.remedy", Fail, "the call is refused: {0}", "{1}.", "调用被拒绝：{0}", "{1}。"),
	says("bot.odd", Fail, "it does not answer as it should: {0}", "Is the bot's api the Chat API? Does Botpress have trouble (status.botpress.com)?",
		"应答异常：{0}", "bot 的 api 是 Chat API 吗？Botpress 是否有故障（status.botpress.com）？"),

	says("webhook.ok", OK, "what the bot says arrives here, within {0}", "", "机器人的消息可以到达（{0} 内）", ""),
	says("webhook.none", Note, "there is none, as no webhook_secret is set", "With one, replies come at once.",
		"没有设置 webhook_secret，不使用 webhook", "设置后回复可以立即到达。"),
	says("webhook.not_running", Note, "whether it arrives can only be seen while Caddy runs", "", "只有 Caddy 运行时才能检查", ""),
	says("webhook.unknown", Note, "the running Caddy could not be asked: {0}", "", "无法询问运行中的 Caddy：{0}", ""),
	says("webhook.missing", Fail, "Botpress does not call it", "Set the Webhook URL of the bot's Chat integration to {0}/botpress, and let Botpress reach it.",
		"Botpress 没有调用它", "请把 Chat 集成的 Webhook URL 设为 {0}/botpress，并确保 Botpress 可以访问。"),
	says("webhook.secret", Fail, "Botpress calls it with another secret, and is refused", "Set the same Webhook Secret here (webhook_secret) and in the bot's Chat integration.",
		"Botpress 使用的密钥不同，被拒绝", "请让此处的 webhook_secret 与 Chat 集成中的 Webhook Secret 一致。"),

	says("limits.ok", OK, "{0} of {1} calls are left", "", "剩余 {0}/{1} 次", ""),
	says("limits.unknown", OK, "Botpress names none", "", "Botpress 没有给出限制", ""),
	says("limits.low", Warn, "{0} of {1} calls are left for now", "If that is often so, raise the limit at Botpress, or slow users down (limits user).",
		"目前只剩 {0}/{1} 次", "如果经常如此，请在 Botpress 提高上限，或限制用户频率（limits user）。"),
	says("limits.reached", Fail, "Botpress takes no more calls for now", "It passes by itself; if it is often so, raise the limit at Botpress, or slow users down (limits user).",
		"Botpress 暂时不再接受调用", "稍后会自动恢复；如果经常如此，请在 Botpress 提高上限，或限制用户频率（limits user）。"),
}

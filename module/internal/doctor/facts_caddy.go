package doctor

// factsOfCaddy are about the configuration, the running Caddy and its keys.
var factsOfCaddy = []fact{
	says("config.ok", OK, "complete ({0})", "", "完整（{0}）", ""),
	says("config.unreadable", Fail, "it cannot be read: {0}", "Mend it; caddy validate says more.",
		"无法读取：{0}", "请修正配置，caddy validate 会给出更多信息。"),
	says("config.none", Fail, "it has no wechat directive", "Name the right file with --config, or add a wechat block to a site.",
		"其中没有 wechat 指令", "用 --config 指定正确的文件，或在站点中加入 wechat 块。"),
	says("config.incomplete", Fail, "it is not complete: {0}", "Set what is missing. If the values come from the environment, run this with the same environment, or name its file with --envfile.",
		"配置不完整：{0}", "请补上缺少的值；如果取自环境变量，请在相同的环境中运行，或用 --envfile 指定环境文件。"),

	says("caddy.ok", OK, "it has this account", "", "已加载该账号", ""),
	says("caddy.not_running", Note, "none answers at the admin address; what only it can tell is left out", "Start Caddy, or name its admin address with --address.",
		"管理地址没有应答，跳过只有它才能回答的检查", "请启动 Caddy，或用 --address 指定管理地址。"),
	says("caddy.without_account", Fail, "it does not have this account", "Load this configuration: caddy reload.",
		"运行中的 Caddy 没有该账号", "请加载此配置：caddy reload。"),
	says("caddy.odd", Warn, "it does not answer as it should: {0}", "Is it of the same build as this program?",
		"应答异常：{0}", "它与本程序是同一版本吗？"),

	says("crypto.ok", OK, "a callback in mode {0}, made with the configured keys, is understood by the running Caddy", "",
		"用所配置的密钥生成的 {0} 模式回调，运行中的 Caddy 可以正确解析", ""),
	says("crypto.here", OK, "a callback in mode {0} can be made and opened with the configured keys", "",
		"用所配置的密钥可以生成并解开 {0} 模式的回调", ""),
	says("crypto.broken", Fail, "a callback made with the configured keys cannot be opened: {0}", "Copy token and EncodingAESKey from WeChat's console again.",
		"用所配置的密钥生成的回调无法解开：{0}", "请从公众平台重新复制令牌（Token）和 EncodingAESKey。"),
	says("crypto.other_key", Fail, "the running Caddy has another aes_key than this configuration", "Load this configuration: caddy reload. If the key comes from the environment, restart Caddy.",
		"运行中的 Caddy 使用的 aes_key 与此配置不同", "请加载此配置：caddy reload；如果密钥来自环境变量，请重启 Caddy。"),
	says("crypto.other_token", Fail, "the running Caddy has another token than this configuration", "Load this configuration: caddy reload. If the token comes from the environment, restart Caddy.",
		"运行中的 Caddy 使用的 token 与此配置不同", "请加载此配置：caddy reload；如果令牌来自环境变量，请重启 Caddy。"),
	says("crypto.other_mode", Fail, "the running Caddy does not accept mode {0}, which this configuration says", "Load this configuration: caddy reload.",
		"运行中的 Caddy 不接受此配置中的 {0} 模式", "请加载此配置：caddy reload。"),
	says("crypto.unknown", Note, "the running Caddy could not be asked: {0}", "", "无法询问运行中的 Caddy：{0}", ""),

	says("standing.ok", OK, "{0} on their way, none for long", "", "在途 {0} 条，没有长时间等待的", ""),
	says("standing.held", Fail, "the running Caddy holds the account on the {0} side: {1}", "{2}. It goes on by itself once that is mended.",
		"运行中的 Caddy 暂停了该账号（{0} 一侧）：{1}", "{2}。解决后会自动恢复。"),
	says("standing.backlog", Warn, "{0} pushes and {1} replies wait, the oldest for {2}", "caddy wechat tail shows what they wait for.",
		"有 {0} 条推送和 {1} 条回复在等待，最久的已等 {2}", "用 caddy wechat tail 查看原因。"),
	says("standing.dead", Note, "{0} dead letters", "caddy wechat dead list says why.", "有 {0} 封死信", "用 caddy wechat dead list 查看原因。"),
}

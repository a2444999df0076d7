package doctor

// saying is a finding in words. {0}, {1} stand for its arguments.
type saying struct{ text, fix string }

// fact is what there is to say about a finding.
type fact struct {
	id    ID
	level Level
	words map[Lang]saying
}

// says makes a fact of its level, and of what was found and what is to be done, in
// English and in Chinese.
func says(id ID, level Level, text, fix, zhText, zhFix string) fact {
	return fact{id, level, map[Lang]saying{English: {text, fix}, Chinese: {zhText, zhFix}}}
}

// facts is all that can be found.
var facts = collect(factsOfCaddy, factsOfSite, factsOfWeChat, factsOfBot, factsOfJournal)

func collect(tables ...[]fact) map[ID]fact {
	all := make(map[ID]fact)
	for _, table := range tables {
		for _, f := range table {
			if _, twice := all[f.id]; twice {
				panic("doctor: two facts " + string(f.id))
			}
			all[f.id] = f
		}
	}
	return all
}

// titles are the names of the checks.
var titles = map[string]map[Lang]string{
	"config":   {English: "configuration", Chinese: "配置"},
	"caddy":    {English: "running Caddy", Chinese: "运行中的 Caddy"},
	"api":      {English: "WeChat's API", Chinese: "微信接口"},
	"clock":    {English: "clock", Chinese: "时钟"},
	"crypto":   {English: "keys", Chinese: "密钥"},
	"public":   {English: "public address", Chinese: "公网地址"},
	"pushes":   {English: "callbacks", Chinese: "微信回调"},
	"token":    {English: "access token", Chinese: "access_token"},
	"rights":   {English: "permissions", Chinese: "接口权限"},
	"callback": {English: "as WeChat sees it", Chinese: "微信网络检测"},
	"bot":      {English: "bot", Chinese: "机器人"},
	"webhook":  {English: "webhook", Chinese: "Webhook"},
	"limits":   {English: "rate limits", Chinese: "频率限制"},
	"standing": {English: "messages", Chinese: "消息"},
	"journal":  {English: "journal", Chinese: "日志库"},
}

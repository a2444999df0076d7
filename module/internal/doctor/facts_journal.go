package doctor

// factsOfJournal are about the journal.
var factsOfJournal = []fact{
	says("journal.ok", OK, "{0} can be written, {1} are free", "", "{0} 可以写入，剩余空间 {1}", ""),
	says("journal.failing", Fail, "the journal in {0} does not work: {1}", "Mend what it names (a full disk, permissions, a damaged file); it goes on by itself.",
		"{0} 中的日志库不可用：{1}", "请按提示处理（磁盘已满、权限、文件损坏），之后会自动恢复。"),
	says("journal.unwritable", Fail, "{0} cannot be written: {1}", "Give the user that runs Caddy the directory (chown), or name another as journal dir.",
		"{0} 无法写入：{1}", "请把目录交给运行 Caddy 的用户（chown），或用 journal dir 指定其他目录。"),
	says("journal.other_user", Note, "{0} is another user's; the running Caddy can write it", "", "{0} 属于其他用户；运行中的 Caddy 可以写入", ""),
	says("journal.full", Fail, "{0} has only {1} of free space", "Make room: without it WeChat's messages cannot be taken.",
		"{0} 只剩 {1} 空间", "请清理磁盘，否则无法接收微信消息。"),
	says("journal.space", Warn, "{0} has only {1} of free space", "Make room, before WeChat's messages cannot be taken any more.",
		"{0} 只剩 {1} 空间", "请尽快清理磁盘，以免无法接收微信消息。"),
	says("journal.in_use", Fail, "another process has the journal in {0}, and does not answer at the admin address", "Name its admin address with --address, or end it.",
		"{0} 中的日志库被另一个进程占用，且管理地址没有应答", "请用 --address 指定它的管理地址，或结束该进程。"),
	says("journal.newer", Fail, "the journal in {0} was written by a newer version (schema {1}, known here is {2})", "Run the newer version, or put back the copy from before the upgrade.",
		"{0} 中的日志库由更新的版本写入（结构版本 {1}，此程序支持 {2}）", "请运行较新的版本，或恢复升级前的备份。"),
	says("journal.damaged", Fail, "journal.db in {0} is damaged, or is no journal", "Save what can be read of it: caddy wechat journal salvage --dir {0}. Or put back a copy.",
		"{0} 中的 journal.db 已损坏或不是日志库", "用 caddy wechat journal salvage --dir {0} 抢救可读的内容，或恢复备份。"),
	says("journal.odd", Fail, "the journal in {0} cannot be looked at: {1}", "Check the directory's permissions and its disk.",
		"无法查看 {0} 中的日志库：{1}", "请检查目录权限和磁盘。"),
	says("journal.waits", Note, "messages wait in it, the oldest for {0}", "They go on when Caddy starts.", "其中有消息等待，最久的已等 {0}", "启动 Caddy 后会继续处理。"),
}

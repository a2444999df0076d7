-- What it takes to fetch and to forget in time what users send.

-- Users who left, whose files are still to be deleted; until: those that began to be stored up to then
CREATE TABLE leavers (
	account {text} NOT NULL,
	openid  {text} NOT NULL,
	until   BIGINT NOT NULL,
	PRIMARY KEY (account, openid)
){keyed};

-- Messages that wait for the bot and came with a file, which WeChat keeps for three days
CREATE INDEX pushes_files ON pushes (account, id, openid) WHERE state = 0 AND kind IN ('image', 'voice', 'video', 'shortvideo');

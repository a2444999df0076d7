-- What showing content needs to remember.

-- Options that were shown to a user, a row per reply. ref: what the ids of their menu items begin with;
-- at: when they were last shown; over_at: when a later reply was shown, 0 = they are the bot's latest;
-- answers: the push in answer to which they were shown, 0 = none; options: JSON
CREATE TABLE choices (
	account    {text} NOT NULL,
	openid     {text} NOT NULL,
	ref        {text} NOT NULL,
	message_id {text} NOT NULL,
	at         BIGINT NOT NULL,
	over_at    BIGINT NOT NULL DEFAULT 0,
	answers    BIGINT NOT NULL DEFAULT 0,
	options    {bytes},
	PRIMARY KEY (account, openid, ref)
){keyed};

CREATE INDEX choices_shown ON choices (account, openid, at);

CREATE INDEX choices_old ON choices (at);

-- Files that WeChat has. hash: of an address or of a file's content, as its first letter says; until: how
-- long the media_id lives; checked_at: when the content was last looked at
CREATE TABLE uploads (
	account    {text} NOT NULL,
	hash       {text} NOT NULL,
	kind       {text} NOT NULL,
	media_id   {text} NOT NULL,
	until      BIGINT NOT NULL,
	checked_at BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (account, hash, kind)
){keyed};

CREATE INDEX uploads_old ON uploads (until);

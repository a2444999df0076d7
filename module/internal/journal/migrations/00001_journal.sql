-- The journal as it began. {id}, {bytes}, {text} and {keyed} are filled in by the dialect.
-- Times are Unix milliseconds, 0 = none. Waiting rows are found by partial indexes, so that what
-- has been handled costs the queues nothing.

-- state: 0 waiting, 1 handled, 2 dead
CREATE TABLE pushes (
	id          {id},
	account     {text}   NOT NULL,
	openid      {text}   NOT NULL,
	dedup       {text}   NOT NULL,
	kind        {text}   NOT NULL,
	received_at BIGINT   NOT NULL,
	state       SMALLINT NOT NULL DEFAULT 0,
	handled_at  BIGINT   NOT NULL DEFAULT 0,
	body        {bytes},
	UNIQUE (account, dedup)
);

CREATE INDEX pushes_waiting ON pushes (account, openid, id) WHERE state = 0;

-- state: 0 waiting, 1 done, 2 parked, 3 dead; step: how many parts WeChat has accepted
CREATE TABLE replies (
	id          {id},
	account     {text}   NOT NULL,
	openid      {text}   NOT NULL,
	message_id  {text}   NOT NULL,
	created_at  BIGINT   NOT NULL,
	received_at BIGINT   NOT NULL,
	state       SMALLINT NOT NULL DEFAULT 0,
	step        INTEGER  NOT NULL DEFAULT 0,
	handled_at  BIGINT   NOT NULL DEFAULT 0,
	payload     {bytes},
	UNIQUE (account, message_id)
);

CREATE INDEX replies_waiting ON replies (account, openid, created_at, message_id) WHERE state = 0;

CREATE INDEX replies_parked ON replies (account, openid, created_at, message_id) WHERE state = 2;

-- conversation is NULL while it is not known, so that any number of users may be without one
CREATE TABLE users (
	account      {text}  NOT NULL,
	openid       {text}  NOT NULL,
	conversation {text},
	generation   INTEGER NOT NULL DEFAULT 0,
	bot          {text}  NOT NULL DEFAULT '',
	watermark_at BIGINT  NOT NULL DEFAULT 0,
	watermark_id {text}  NOT NULL DEFAULT '',
	active_at    BIGINT  NOT NULL DEFAULT 0,
	epoch        BIGINT  NOT NULL DEFAULT 0,
	PRIMARY KEY (account, openid)
){keyed};

CREATE UNIQUE INDEX users_conversation ON users (account, conversation);

-- kind: push, reply, body; ref: what the row was known by where it came from
CREATE TABLE dead (
	id      {id},
	account {text} NOT NULL,
	openid  {text} NOT NULL,
	kind    {text} NOT NULL,
	ref     {text} NOT NULL,
	reason  {text} NOT NULL,
	at      BIGINT NOT NULL,
	body    {bytes}
);

CREATE INDEX dead_account ON dead (account, id);

CREATE TABLE state (
	account {text} NOT NULL,
	name    {text} NOT NULL,
	value   {text} NOT NULL,
	PRIMARY KEY (account, name)
){keyed};

-- What users sent: pictures, recordings, videos, cut into chunks of the same size. It lies in a database of its own,
-- so that writing it does not stand in the way of messages. {id}, {bytes} and {text} are filled in by the dialect.
-- Times are Unix milliseconds.

-- name: by which it is asked for; ref: the message it came with; done: 0 while it is written or deleted, 2 if it is not to be kept when it is written
CREATE TABLE media (
	id         {id},
	account    {text}   NOT NULL,
	openid     {text}   NOT NULL,
	ref        {text}   NOT NULL,
	name       {text}   NOT NULL,
	ext        {text}   NOT NULL,
	size       BIGINT   NOT NULL DEFAULT 0,
	created_at BIGINT   NOT NULL,
	done       SMALLINT NOT NULL DEFAULT 0,
	UNIQUE (account, name)
);

CREATE INDEX media_user ON media (account, openid, ref);

CREATE INDEX media_age ON media (account, created_at);

CREATE TABLE chunks (
	id    {id},
	media BIGINT  NOT NULL,
	part  INTEGER NOT NULL,
	body  {bytes} NOT NULL,
	UNIQUE (media, part)
);

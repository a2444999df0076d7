-- Keys that a bot has issued, one for each user at each bot: whoever has it can speak as that user. They are
-- given once only. generation: of the identity that the key is for
CREATE TABLE keys (
	account    {text}  NOT NULL,
	openid     {text}  NOT NULL,
	bot        {text}  NOT NULL,
	generation INTEGER NOT NULL,
	issued     {text}  NOT NULL,
	PRIMARY KEY (account, openid, bot)
){keyed};

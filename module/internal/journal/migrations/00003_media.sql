-- What WeChat told of a user, as JSON; empty while it was not asked.
ALTER TABLE users ADD COLUMN profile {text} NOT NULL DEFAULT '';

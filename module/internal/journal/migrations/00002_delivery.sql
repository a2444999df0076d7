-- What delivering replies needs to remember.

-- attempts: how often WeChat has sent it, where that is counted; answer: the passive reply it was answered with
ALTER TABLE pushes ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE pushes ADD COLUMN answer {bytes};

-- cut: how many bytes of the part behind step WeChat has accepted
ALTER TABLE replies ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;

-- When a message, and a tap, follow or scan, last opened an allowance; how much of it is used; when the user left
ALTER TABLE users ADD COLUMN message_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN message_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN action_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN action_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN left_at BIGINT NOT NULL DEFAULT 0;

UPDATE users SET message_at = active_at;

-- The trace of what the bot was last told by a user, as in the header traceparent, and when that was; empty if
-- none is kept.
ALTER TABLE users ADD COLUMN trace {text} NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN traced_at BIGINT NOT NULL DEFAULT 0;

-- The trace that a push or a reply belongs to, as in the header traceparent; empty if none is kept.
ALTER TABLE pushes ADD COLUMN trace {text} NOT NULL DEFAULT '';
ALTER TABLE replies ADD COLUMN trace {text} NOT NULL DEFAULT '';

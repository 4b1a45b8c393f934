"""Tables of a future version."""

NEXT = ("ALTER TABLE steps ADD COLUMN more {whole}", "CREATE INDEX ix_steps_more ON steps (more)")
"""Tables that a later version may add."""

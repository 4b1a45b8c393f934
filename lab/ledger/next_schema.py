"""Tables of a future version."""

NEXT = ("ALTER TABLE steps ADD COLUMN more {whole}", "CREATE INDEX ix_steps_more ON steps (more)")
"""Changes of the tables that a later version may make."""

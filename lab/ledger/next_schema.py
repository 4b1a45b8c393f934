"""The tables of a next version."""

NEXT = ("ALTER TABLE steps ADD COLUMN more {whole}", "CREATE INDEX ix_steps_more ON steps (more)")
"""What a later version may bring."""

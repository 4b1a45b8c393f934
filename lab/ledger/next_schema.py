"""The tables of a next version."""

from __future__ import annotations

NEXT = ("ALTER TABLE steps ADD COLUMN more {whole}", "CREATE INDEX ix_steps_more ON steps (more)")
"""What a later version may bring."""

"""Japan Standard Time."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Final

JAPAN: Final = timezone(timedelta(hours=9), "JST")

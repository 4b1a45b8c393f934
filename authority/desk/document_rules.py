"""Which kinds of documents the desk accepts, and the rule of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .desk import Rule

RULES: Final[Mapping[str, Rule]] = {}

"""The ids of what is in the ledger and no call: acts of its keepers, and what became of the ledger itself."""

from __future__ import annotations

import secrets

from .leaves import ACT_ID


def new_act_id() -> str:
    return f"{ACT_ID}{secrets.token_hex(12)}"

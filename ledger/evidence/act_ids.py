"""Ids of records that are not calls: acts of the ledger's keepers, and events of the ledger itself."""

import secrets

from .leaves import ACT_ID


def new_act_id() -> str:
    return f"{ACT_ID}{secrets.token_hex(12)}"

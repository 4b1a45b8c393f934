"""Ids for ledger records that are not calls, such as disclosures of evidence."""

import secrets

from .leaves import ACT_ID


def new_act_id() -> str:
    return f"{ACT_ID}{secrets.token_hex(12)}"

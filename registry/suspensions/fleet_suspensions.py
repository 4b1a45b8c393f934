"""Exchanges the operator's suspensions within a fleet, so that all nodes refuse a number.

The module decides what a node sends to the others and what it accepts from them. Each node sends everything it knows,
so a node that was unreachable can catch up from any other node. Acts (an approval, a lift, a closed duty) are only ever
added to a suspension, so nodes agree regardless of the order in which they learn of them. Each node reports when it
began to refuse the calls itself.
"""

import base64
import hashlib
import hmac
import os
import zlib
from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import ValidationError

from .own_suspension import Duty, NodeConfirmation, OwnSuspension, OwnSuspensions

TOLD_LIMIT: Final = 200_000
"""Maximum size of a node's report in octets, before compression."""
_NONCE_BYTES: Final = 12
_ACTS: Final = ("approved", "withdrawn", "lift_asked", "lifted")


class SuspensionSeal:
    """Encrypts a node's report with the fleet key, so that PostgreSQL contains no telephone numbers."""

    def __init__(self, fleet_key: bytes) -> None:
        self._cipher = AESGCM(hmac.digest(fleet_key, b"idtone own suspensions", hashlib.sha256))

    def sealed(self, node: str, told: OwnSuspensions) -> str:
        """Encrypt the suspensions into a text without readable telephone numbers."""
        nonce = os.urandom(_NONCE_BYTES)
        octets = zlib.compress(told.model_dump_json(exclude_defaults=True).encode())
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, octets, node.encode())).decode()

    def opened(self, node: str, text: object) -> OwnSuspensions | None:
        """Decrypt a node's report; None if it is not authentic or cannot be read."""
        try:
            octets = base64.b64decode(str(text), validate=True)
            plain = self._cipher.decrypt(octets[:_NONCE_BYTES], octets[_NONCE_BYTES:], node.encode())
            decompressor = zlib.decompressobj()
            told = decompressor.decompress(plain, 2 * TOLD_LIMIT)
            return OwnSuspensions.model_validate_json(told)
        except (InvalidTag, ValidationError, ValueError, zlib.error):
            return None


def suspensions_to_send(held: OwnSuspensions, node: str) -> OwnSuspensions:
    """Suspensions that this node sends to the others, newest last: those that stop calls and the latest that are over.

    `TOLD_LIMIT` bounds their total size.
    """
    found, left = [], TOLD_LIMIT
    for one in sorted(held.suspensions, key=lambda each: (each.is_live, each.asked.at), reverse=True):
        # When this node itself was asked for is in `home`, so that a copy of a copy keeps it.
        changes: dict[str, object] = {"home": one.home or node, "elsewhere": (), "covered": ()}
        if not one.is_live:
            changes["numbers"] = one.numbers[:1]  # only the act counts
        each = one.model_copy(update=changes)
        left -= len(each.model_dump_json(exclude_defaults=True)) + 1
        if left < 0:
            break
        found.append(each)
    return OwnSuspensions(suspensions=tuple(reversed(found)))


def taken_over(held: OwnSuspensions, node: str, others: Mapping[str, OwnSuspensions | None]) -> OwnSuspensions:
    """Merge the node's own suspensions with the other nodes' reports.

    `others` holds each node's report, or None for a report that does not count.
    """
    by_id = {each.id: each for each in held.suspensions}
    for name, says in others.items():
        for one in says.suspensions if says else ():
            mine = by_id.get(one.id)
            if mine:
                by_id[one.id] = _merged(mine, one)
            elif one.is_live:
                by_id[one.id] = _copy(one, node, name)
    said = {name: {one.id: one for one in says.suspensions} if says else {} for name, says in others.items()}
    suspensions = tuple(_confirmed(one, said) for one in by_id.values())
    return held if suspensions == held.suspensions else held.model_copy(update={"suspensions": suspensions})


def _copy(one: OwnSuspension, node: str, name: str) -> OwnSuspension:
    """Copy of another node's suspension, not yet applied on this node."""
    home = one.home or name
    return one.model_copy(
        update={
            "home": "" if home == node else home, "in_force": None, "by_service": False, "calls_ended": 0,
            "covered": (), "taken_over": None, "over": None, "elsewhere": (),
        }
    )  # fmt: skip


def _merged(mine: OwnSuspension, other: OwnSuspension) -> OwnSuspension:
    acts = {name: getattr(other, name) for name in _ACTS if getattr(mine, name) is None and getattr(other, name)}
    duties = _duties(mine.duties, other.duties)
    if duties != mine.duties:
        acts["duties"] = duties
    return mine.model_copy(update=acts) if acts else mine


def _duties(mine: Iterable[Duty], others: Iterable[Duty]) -> tuple[Duty, ...]:
    """Duties from both lists, each kind once. A duty is closed if it is closed in either list."""
    found = {duty.kind: duty for duty in mine}
    for duty in others:
        if duty.kind not in found or (duty.closed and not found[duty.kind].closed):
            found[duty.kind] = duty
    return tuple(found.values())


def _confirmed(one: OwnSuspension, said: Mapping[str, Mapping[str, OwnSuspension]]) -> OwnSuspension:
    """Suspension with the other nodes' confirmations. A node that has sent nothing has not confirmed it."""
    known = {each.node: each for each in one.elsewhere}
    for name, by_id in said.items():
        if theirs := by_id.get(one.id):
            known[name] = NodeConfirmation(
                node=name,
                in_force=theirs.in_force,
                by_service=theirs.by_service,
                over=theirs.over,
                calls_ended=theirs.calls_ended,
                taken_over=theirs.taken_over,
            )
        elif one.is_live:
            known.setdefault(name, NodeConfirmation(node=name))
    elsewhere = tuple(sorted(known.values(), key=lambda each: each.node))
    return one if elsewhere == one.elsewhere else one.model_copy(update={"elsewhere": elsewhere})

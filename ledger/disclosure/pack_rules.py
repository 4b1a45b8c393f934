"""What holds for the leaves, the times and the legal basis of a pack, whoever has sealed it. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from idtone.errors import ProofError
from idtone.signed_notes import Note, VerifierKey, cosigned_at
from idtone.translation import Message

from ..evidence.leaf_rules import LeafRules
from ..evidence.rules import Breach, Rule, RuleError, breach
from ..store.rows import moment
from ..tree.checkpoints import Checkpoint
from .disclosure_request import DisclosureRequest
from .legal_basis import JAPAN, LegalBasis

SKEW: Final = timedelta(minutes=5)
"""By so much clocks may differ."""
_WORD: Final = re.compile(r"[\w\u0300-\u036f]+")
_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_ALIKE: Final = re.compile(
    r"[\u0370-\u058f\u13a0-\u13ff\u1c80-\u1c8f\u1f00-\u1fff\u2c80-\u2cff\ua4d0-\ua4ff\uab70-\uabbf]"
)
"""Letters of Greek, Cyrillic, Armenian, Cherokee, Coptic and Lisu, which look like Latin ones."""


class PackedLeaf(NamedTuple):
    """A leaf that is proven. `checkpoint` is the signed head of its proof."""

    number: int
    content: bytes
    checkpoint: Note


def leaf_faults(leaves: Sequence[PackedLeaf], exported: datetime, witnesses: Sequence[VerifierKey]) -> Iterator[Breach]:
    """What is wrong with all leaves of a pack, those of its acts included, and with their times and checkpoints."""
    rules, last = LeafRules({}, has_all=False), -1
    roots: dict[int, bytes] = {}
    for leaf in sorted(leaves, key=lambda each: each.number):
        checkpoint = Checkpoint.parse(leaf.checkpoint.text)
        if roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            yield breach(Rule.FORK, Message("the log has signed two trees of {size} leaves", size=checkpoint.size))
        if leaf.number == last:
            yield breach(Rule.LEAF_TWICE, Message("leaf {number} is there twice", number=leaf.number))
            continue
        last = leaf.number
        try:
            at = moment(max(rules.add(leaf.content).times))
        except (ProofError, OverflowError) as error:
            rule = error.rule if isinstance(error, RuleError) else Rule.LEAF_FORM
            yield breach(rule, Message("leaf {number}: {error}", number=leaf.number, error=error))
            continue
        if at > exported + SKEW:
            late = Message("leaf {number}: it is of {at}, after the pack was made", number=leaf.number, at=at)
            yield breach(Rule.LEAF_TIME, late)
        for name, cosigned in _cosigned(leaf.checkpoint, witnesses):
            if at > cosigned + SKEW:
                late = Message(
                    "leaf {number}: it is of {at}, and {witness} has cosigned it at {cosigned}",
                    number=leaf.number,
                    at=at,
                    witness=name,
                    cosigned=cosigned,
                )
                yield breach(Rule.LEAF_TIME, late)
            if cosigned > exported + SKEW:
                late = Message(
                    "{witness} has cosigned the tree at {cosigned}, after the pack was made",
                    witness=name,
                    cosigned=cosigned,
                )
                yield breach(Rule.COSIGNATURE, late)


def _cosigned(note: Note, witnesses: Sequence[VerifierKey]) -> Iterator[tuple[str, datetime]]:
    """The times of each witness's cosignatures. The signatures are verified elsewhere."""
    for witness in witnesses:
        lines = [line for line in note.signatures if (line.name, line.key_id) == (witness.name, witness.key_id)]
        for line in lines:
            try:
                yield witness.name, datetime.fromtimestamp(cosigned_at(line), UTC)
            except (OverflowError, ValueError, OSError):
                yield witness.name, datetime.max.replace(tzinfo=UTC) - SKEW


def time_faults(
    exported: datetime, basis: LegalBasis | None, request: DisclosureRequest | None, now: datetime | None
) -> Iterator[Breach]:
    """What is wrong with the times of a disclosure. `now`: by the clock of who verifies it, None if it has none."""
    if now and exported > now + timedelta(days=1):
        future = Message("the pack says that it was made in the future, at {exported}", exported=exported)
        yield breach(Rule.EXPORT_TIME, future)
    if request and request.approval and request.approval.at < request.at - SKEW:
        yield breach(Rule.REQUEST_TIME, Message("the approval is older than the request"))
    if basis and basis.received and basis.received > exported + SKEW:
        yield breach(Rule.EXPORT_TIME, Message("the demand arrived after the pack was made"))
    if basis and basis.valid_until and basis.valid_until < exported.astimezone(JAPAN).date():
        old = Message("the warrant was valid until {day}, and the pack was made later", day=basis.valid_until)
        yield breach(Rule.WARRANT, old)


def basis_faults(details: Mapping[str, object]) -> Iterator[Breach]:
    """Texts of a legal basis that look like others."""
    for name, value in details.items():
        text = str(value)
        alike = (name == "basis" and not text.isascii()) or unicodedata.normalize("NFC", text) != text
        if alike or any(map(_mixed, _WORD.findall(text))):
            other = Message(
                "the legal basis has letters in {name} that look like others: {text!r}", name=name, text=text
            )
            yield breach(Rule.BASIS_ALIKE, other)


def _mixed(word: str) -> bool:
    """Latin letters, and others that look like them."""
    return bool(_LATIN.search(word) and _ALIKE.search(word))

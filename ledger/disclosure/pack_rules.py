"""Rules for an evidence pack's leaves, times and legal basis. Signatures are checked elsewhere."""

import base64
import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

import rfc8785
from cryptography.x509 import Certificate

from idtone.core.calls import Trust
from idtone.core.errors import ProofError
from idtone.core.japan_time import JAPAN
from idtone.core.signed_notes import Note, VerifierKey, cosigned_at
from idtone.core.translation import Message

from ..evidence.format_rules import SKEW, Breach, Rule, RuleError, breach
from ..evidence.leaf_rules import LeafRules, read_leaf
from ..evidence.steps import Scalar
from ..store.step_rows import moment
from ..tree.checkpoints import Checkpoint
from ..tree.timestamps import stamped_at
from .disclosure_request import DisclosureRequest
from .legal_basis import LegalBasis
from .pack import REGISTRY, TIMESTAMP

_WORD: Final = re.compile(r"[\w\u0300-\u036f]+")
_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_ALIKE: Final = re.compile(
    r"[\u0370-\u058f\u13a0-\u13ff\u1c80-\u1c8f\u1f00-\u1fff\u2c80-\u2cff\ua4d0-\ua4ff\uab70-\uabbf]"
)
"""Greek, Cyrillic, Armenian, Cherokee, Coptic and Lisu letters, which can look like Latin letters."""


class PackedLeaf(NamedTuple):
    """A proven leaf in an evidence pack.

    `checkpoint` is the signed head to which its proof leads.
    """

    number: int
    content: bytes
    checkpoint: Note


def leaf_faults(leaves: Sequence[PackedLeaf], exported: datetime, witnesses: Sequence[VerifierKey]) -> Iterator[Breach]:
    """Violations in an evidence pack's leaves and acts, including their times and checkpoints."""
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
    """Witness and time of each cosignature. The signatures are verified elsewhere."""
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
    """Violations in a disclosure's times.

    `now` is the verifier's current time, or None if it has no clock.
    """
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
    """Violations for texts in a legal basis that could be mistaken for other texts."""
    for name, value in details.items():
        text = str(value)
        alike = (name == "basis" and not text.isascii()) or unicodedata.normalize("NFC", text) != text
        if alike or any(map(_mixed, _WORD.findall(text))):
            other = Message(
                "the legal basis has letters in {name} that look like others: {text!r}", name=name, text=text
            )
            yield breach(Rule.BASIS_ALIKE, other)


def timestamp_times(
    files: Mapping[str, bytes], leaves: Sequence[PackedLeaf], exported: datetime, roots: Sequence[Certificate]
) -> tuple[dict[int, datetime], list[Breach]]:
    """Times stated in the timestamps on a pack's trees, by tree size, and violations in the timestamps.

    With `roots`, each tree needs a timestamp whose certificates lead to one of these roots.
    """
    heads = {Checkpoint.parse(each.checkpoint.text).size: each.checkpoint.text for each in leaves}
    found: dict[int, datetime] = {}
    faults: list[Message] = []
    for name, reply in files.items():
        if not (named := TIMESTAMP.fullmatch(name)):
            continue
        size = int(named[1])
        if size not in heads:
            faults.append(Message("{path}: it is of a tree that no proof leads to", path=name))
            continue
        try:
            found[size] = at = stamped_at(reply, heads[size], roots)
        except ProofError as error:
            faults.append(Message("{path}: {error}", path=name, error=error))
            continue
        if at > exported + SKEW:
            faults.append(Message("{path}: it is of {at}, after the pack was made", path=name, at=at))
    for leaf in leaves:
        size = Checkpoint.parse(leaf.checkpoint.text).size
        try:
            latest = moment(max(read_leaf(leaf.content).times))
        except (ProofError, OverflowError):
            continue  # which `leaf_faults` names
        if size in found and latest > found[size] + SKEW:
            words = Message(
                "leaf {number}: it is of {at}, and its tree has a timestamp of {stamped}",
                number=leaf.number,
                at=latest,
                stamped=found[size],
            )
            faults.append(words)
    if roots and (missing := sorted(heads.keys() - found.keys())):
        faults += [Message("the tree of {size} leaves has no timestamp", size=size) for size in missing]
    return found, [breach(Rule.TIMESTAMP, each) for each in faults]


def registry_faults(files: Mapping[str, bytes], decided_by: Collection[tuple[Scalar, Scalar]]) -> Iterator[Breach]:
    """Violations for registries in an evidence pack that decided none of its calls.

    `decided_by` contains pairs of a registry's digest and the trust in it, if known. The registries' contents are
    checked elsewhere.
    """
    for name, content in files.items():
        if not (match := REGISTRY.fullmatch(name)):
            continue
        trusts = {trust for digest, trust in decided_by if digest == match[1]}
        given, trust = metadata_digest(content), stated_trust(content)
        if (
            not trusts
            or trust is None
            or given not in (None, match[1])
            or {each or trust for each in trusts} != {trust}
        ):
            other = Message(
                "{path} is not a registry by which a call of the pack was decided, nor that of the export", path=name
            )
            yield breach(Rule.REGISTRY, other)


def stated_trust(content: bytes) -> str | None:
    """The trust stated by a registry in an evidence pack; None if its metadata contradicts the statement."""
    is_signed = metadata_digest(content) is not None
    try:
        trust = json.loads(content)["trust"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return trust if trust == (Trust.SIGNED if is_signed else Trust.UNSIGNED) else None


def metadata_digest(content: bytes) -> str | None:
    """Digest of the signed metadata in an evidence pack's registry.

    None if the registry is unsigned, and empty if it cannot be read.
    """
    try:
        shown = json.loads(content)
        metadata = {name: base64.b64decode(text, validate=True) for name, text in shown["metadata"].items()}
        if rfc8785.dumps(shown) != content:
            return ""
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, rfc8785.CanonicalizationError):
        return ""
    lines = (f"{sha256(octets).hexdigest()}  {name}\n" for name, octets in sorted(metadata.items()))
    return sha256("".join(lines).encode()).hexdigest() if metadata else None


def _mixed(word: str) -> bool:
    """True if a word mixes Latin letters with letters that look like them."""
    return bool(_LATIN.search(word) and _ALIKE.search(word))

"""A log's registration with the association, which names its owner and the cosignatures it needs.

The association signs both facts with its registry (`custom.logs` of the target `registry.yaml`). Evidence packs contain
the registry's metadata. docs/evidence-format.md, section 6.8, describes the format and the rules.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from idtone.core.errors import ProofError, TrustError
from idtone.core.signed_notes import Algorithm, Note, VerifierKey, cosigned_at
from idtone.core.translation import Message

from ..evidence.call_record import Record
from ..evidence.format_rules import Breach, Rule, RuleError, breach
from ..tree.checkpoints import Checkpoint
from .pack import REGISTRY

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

ROLES: Final = ("root", "targets", "registry")
"""TUF roles whose metadata links the association's root to its statement about logs."""
_FILE: Final = "registry.yaml"
Registry = Mapping[str, bytes]
"""The metadata of a registry, by file name."""


@dataclass(frozen=True, slots=True)
class KeyTerm:
    """The period during which a key's signatures count, from `since` to `until` (exclusive)."""

    key: VerifierKey
    since: datetime
    until: datetime | None

    def contains(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class LogOwner:
    """The legal person responsible for a log, according to the association's registry."""

    member: str
    japanese: str
    english: str
    corporate_number: str | None
    term: KeyTerm


@dataclass(frozen=True, slots=True)
class SignedLogs:
    """The association's signed entries about logs and witnesses, from one version of the registry."""

    version: int
    owners: tuple[LogOwner, ...]
    witnesses: tuple[KeyTerm, ...]
    cosignatures: int

    def owner(self, log: VerifierKey) -> LogOwner | None:
        """A log's owner; None if the registry names none.

        A later log with the same key has the earlier log's name with a number added.
        """
        for each in self.owners:
            base, _, number = log.name.rpartition(".")
            named = each.term.key.name in (log.name, base if number.isdecimal() and number.isascii() else log.name)
            if named and each.term.key.public == log.public:
                return each
        return None


@dataclass(frozen=True, slots=True)
class LogRegistration:
    """The owner and witnesses of an evidence pack's log, according to the association's registry.

    `logs` is None if no registry in the pack names logs. `owner` is None if the registry names no owner of this log.
    `cosigners` are the names of the accepted witnesses that cosigned each of the pack's trees in time.

    `is_met` means that each tree has enough of these cosignatures. `is_verified` means that the association's
    signatures were verified with the given root. `is_read` means that the registries' entries about logs were readable.
    """

    logs: SignedLogs | None = None
    owner: LogOwner | None = None
    cosigners: tuple[str, ...] = ()
    is_met: bool = False
    is_verified: bool = False
    is_read: bool = False

    @property
    def witnesses(self) -> tuple[str, ...]:
        """Names of the accepted witnesses."""
        return tuple(dict.fromkeys(each.key.name for each in self.logs.witnesses)) if self.logs else ()

    @property
    def required(self) -> int:
        return self.logs.cosignatures if self.logs else 0


def registries_of(files: Mapping[str, bytes]) -> list[Registry]:
    """The signed registries in an evidence pack.

    `registry_faults` checks their format.
    """
    found = []
    for name, content in files.items():
        if REGISTRY.fullmatch(name):
            try:
                shown = json.loads(content)["metadata"]
                found.append({role: base64.b64decode(text, validate=True) for role, text in shown.items()})
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue
    return [each for each in found if each]


def log_registration(
    registries: Sequence[Registry],
    log: VerifierKey,
    heads: Iterable[Note],
    records: Sequence[Record],
    exported: datetime,
    stamps: Mapping[int, datetime],
    root: Metadata[Root] | None = None,
    today: Sequence[Registry] = (),
    now: datetime | None = None,
) -> tuple[LogRegistration, list[Breach]]:
    """Determine the owner and witnesses of an evidence pack's log, and any violations of the registry's rules.

    The latest registry in the pack is used. If the verifier supplies its own registries as `today`, they replace the
    pack's, because a pack made with a stolen key may contain any version. `heads` are the signed heads to which the
    pack's proofs lead, and `stamps` are an authority's times for them. An announced end of a key after `now` is ignored
    for now.

    `root` is the association's root from a source other than the pack. With `root`, the registries' signatures are
    verified, the registry must name the log, and enough witnesses must have cosigned.
    """
    try:
        if root is not None:
            for each in (*registries, *today):
                _verify(each, root)
        known = [_signed_logs(each) for each in today or registries]
        logs = max((each for each in known if each), key=lambda each: each.version, default=None)
        if logs is None:
            unknown = Message("no registry that counts says whose log it is")
            return LogRegistration(is_read=True), [breach(Rule.LOG_MEMBER, unknown)] if root else []
        owner = logs.owner(log)
        counted = [(note, _counted(note, logs, owner)) for note in {str(note): note for note in heads}.values()]
    except ProofError as error:
        rule = error.rule if isinstance(error, RuleError) else Rule.COSIGNATURE
        return LogRegistration(), [breach(rule, Message("{error}", error=error))]
    everywhere = set.intersection(*(names for _, names in counted)) if counted else set[str]()
    is_met = logs.cosignatures > 0 and all(len(names) >= logs.cosignatures for _, names in counted)
    registration = LogRegistration(logs, owner, tuple(sorted(everywhere)), is_met, root is not None, True)
    faults = [*_faults(registration, log, records, root is not None), *_begun(registration, exported)]
    return registration, [*faults, *_ended(registration, counted, stamps, now)]


def _faults(
    registration: LogRegistration, log: VerifierKey, records: Sequence[Record], is_relied_on: bool
) -> Iterator[Breach]:
    assert registration.logs
    owner, members = registration.owner, {each.member for each in registration.logs.owners}
    licensed = {str(each.first_decision.get("member")) for each in records if "licence" in each.first_decision}
    if owner is None and (is_relied_on or licensed & members):
        names = ", ".join(sorted(licensed)) or "—"
        other = Message("the registry names other logs than {log} for {members}", log=log.name, members=names)
        yield breach(Rule.LOG_MEMBER, other)
    if owner:
        for member in sorted(licensed - {owner.member}):
            other = Message(
                "the log {log} is of {owner}, and a call in it has a licence of {member}",
                log=log.name,
                owner=owner.member,
                member=member,
            )
            yield breach(Rule.LOG_MEMBER, other)
    if is_relied_on and registration.required and not registration.is_met:
        few = Message(
            "the registry demands cosignatures of {required} of {witnesses}",
            required=registration.required,
            witnesses=", ".join(registration.witnesses),
        )
        yield breach(Rule.WITNESS_POLICY, few)


def _begun(registration: LogRegistration, exported: datetime) -> Iterator[Breach]:
    if registration.owner and exported < registration.owner.term.since:
        early = Message(
            "the log {log} is of {owner} from {since} on, and the pack was made before",
            log=registration.owner.term.key.name,
            owner=registration.owner.member,
            since=registration.owner.term.since.isoformat(),
        )
        yield breach(Rule.LOG_MEMBER, early)


def _ended(
    registration: LogRegistration,
    counted: Iterable[tuple[Note, set[str]]],
    stamps: Mapping[int, datetime],
    now: datetime | None,
) -> Iterator[Breach]:
    """Breaches for heads that no other party saw before the log's key expired, since it may have signed them later."""
    until = registration.owner.term.until if registration.owner else None
    if registration.owner is None or until is None or (now and until > now):
        return
    for note, names in counted:
        size = Checkpoint.parse(note.text).size
        is_stamped = size in stamps and registration.owner.term.contains(stamps[size])
        if not is_stamped and len(names) < max(1, registration.required):
            late = Message(
                "the key of {log} is not believed from {until} on, and no other has seen the tree of {size} leaves "
                "before",
                log=registration.owner.term.key.name,
                until=until.isoformat(),
                size=size,
            )
            yield breach(Rule.LOG_UNTIL, late)


def _counted(note: Note, logs: SignedLogs, owner: LogOwner | None) -> set[str]:
    """Names of the witnesses that cosigned within their own period and the log's.

    Raises ProofError if a line is malformed.
    """
    found: set[str] = set()
    for witness in logs.witnesses:
        note.signed_by([witness.key])
        for line in note.signatures:
            if (line.name, line.key_id) != (witness.key.name, witness.key.key_id):
                continue
            try:
                at = datetime.fromtimestamp(cosigned_at(line), UTC)
            except (OverflowError, ValueError, OSError):
                continue
            if witness.contains(at) and (owner is None or owner.term.contains(at)):
                found.add(line.name)
    return found


def _signed_logs(registry: Registry) -> SignedLogs | None:
    """The logs named in the registry; None if it names none. Raises ProofError."""
    try:
        signed = json.loads(registry["registry.json"])["signed"]
        said = signed["targets"][_FILE].get("custom", {}).get("logs")
        return None if said is None else _parsed(signed["version"], said)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError, ProofError) as error:
        unread = Message("what the registry says of logs cannot be read ({reason})", reason=type(error).__name__)
        raise RuleError(Rule.REGISTRY, unread) from error


def _parsed(version: Any, said: Mapping[str, Any]) -> SignedLogs:
    """The association's entries, from parsed JSON. Raises the errors that `_signed_logs` catches."""
    owners = tuple(
        LogOwner(
            _text(member["member"]),
            _text(member["name"]["ja"]),
            _text(member["name"]["en"]),
            _text(member["corporate_number"]) if "corporate_number" in member else None,
            _term(each, Algorithm.ED25519),
        )
        for member in said["members"]
        for each in member["logs"]
    )
    witnesses = tuple(_term(each, Algorithm.COSIGNATURE) for each in said["witnesses"])
    number = said["cosignatures"]
    if type(version) is not int or type(number) is not int or number < 0:
        raise ValueError("no whole number")
    return SignedLogs(version, owners, witnesses, number)


def _term(said: Mapping[str, Any], algorithm: Algorithm) -> KeyTerm:
    key, until = VerifierKey.parse(said["key"]), said["until"]
    if key.algorithm is not algorithm or str(key) != said["key"]:
        raise ValueError("a key of another kind")
    return KeyTerm(key, _moment(said["since"]), None if until is None else _moment(until))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None or moment.isoformat() != text:
        raise ValueError("a time of another form")
    return moment


def _text(text: object) -> str:
    if not isinstance(text, str) or not text.replace("\N{IDEOGRAPHIC SPACE}", " ").isprintable():
        raise ValueError("not printable")
    return text


def _verify(registry: Registry, trusted: Metadata[Root]) -> None:
    """Raise RuleError unless the association with this root has signed the registry's statement about logs."""
    from idtone.core.signed_metadata import read_signed  # takes time that other commands do not need

    try:
        read_signed({name: registry.get(name, b"") for name in (f"{role}.json" for role in ROLES)}, trusted)
    except TrustError as error:
        raise RuleError(Rule.REGISTRY, Message("{error}", error=error)) from error

"""Makes excerpts from registries for an evidence pack, and checks that they lead to the recorded decisions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import rfc8785

from idtone.core.calls import Decision, Direction, ForwardedCall, Party, Reason
from idtone.core.decision import Policy, Unlicensed, Unreadable, decide, time_by
from idtone.core.errors import DocumentError, TrustError
from idtone.core.numbers import WITHHELD, Number, NumberKind
from idtone.core.translation import Message
from idtone.ledger.disclosure.pack import PackRecord
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import NumberRole
from idtone.registry.number_entries import NumberEntries, ProvenEntry, entries_of, unsigned_entries
from idtone.registry.parsers import parse_never_originates, parse_registry, parse_suspensions
from idtone.registry.registry_excerpt import Entry, RegistryExcerpt
from idtone.registry.sources import parse_document
from idtone.registry.trust import tuf_roles
from idtone.registry.used_registries import UNSIGNED, UsedRegistries, UsedRegistry

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

_PARSERS: Final[Mapping[str, Any]] = {
    tuf_roles.REGISTRY_FILE: parse_registry,
    tuf_roles.SUSPENSIONS_FILE: parse_suspensions,
    tuf_roles.NEVER_ORIGINATES_FILE: parse_never_originates,
}
NOT_BY_REGISTRY: Final = frozenset(
    {
        Reason.EMERGENCY, Reason.LEDGER_FULL, Reason.BRAKE_STOP, Reason.BRAKE_SLOW, Reason.NUMBER_OF_ANOTHER_CUSTOMER,
        Reason.LINE_UNKNOWN, Reason.LINES_MISSING, Reason.PRESENTED_NUMBER_DIFFERS, Reason.SERVICE_UNAVAILABLE,
        Reason.NUMBER_WITHHELD,
    }
)  # fmt: skip
"""Reasons for decisions that do not follow from the registry alone."""


# -- what a pack shows ------------------------------------------------------------------------------------------------


def registry_excerpts(
    told: Iterable[PackRecord], used: UsedRegistries, policy: Policy
) -> tuple[dict[str, bytes], str | None, list[TrustError]]:
    """Excerpts, by digest, from the registries that decided an evidence pack's calls.

    An excerpt has the entries for the calls' numbers, or only the metadata if the numbers are sealed. The result also
    has the digest of the last signed registry, which shows whose log it is, and an error for each missing registry.
    `policy` is the member's current policy.
    """
    found: dict[str, bytes] = {}
    missing: list[TrustError] = []
    by_digest: dict[str, list[PackRecord]] = {}
    for each in told:
        if each.record.registry_sha256:
            by_digest.setdefault(each.record.registry_sha256, []).append(each)
    last = None
    try:
        if (latest := used.latest()) and latest.metadata:
            last = latest.sha256
            by_digest.setdefault(last, [])
    except TrustError as error:
        missing.append(error)
    for digest, some in by_digest.items():
        try:
            registry = used.find(digest)
            if registry is None:
                missing.append(TrustError("the registry {sha256} was not kept on this machine", sha256=digest))
            else:
                found[digest] = _shown(registry, used, some, policy)
        except (TrustError, DocumentError) as error:
            missing.append(TrustError("{error}", error=error))
    return found, last if last in found else None, missing


def _shown(registry: UsedRegistry, used: UsedRegistries, told: Iterable[PackRecord], policy: Policy) -> bytes:
    opened = [each for each in told if each.numbers]
    entries = _entries(registry, used) if opened else {}
    content = {
        "trust": "signed" if registry.metadata else "unsigned",
        "metadata": {name: base64.b64encode(octets).decode() for name, octets in registry.metadata.items()},
        "policy": policy_json(policy),
        "numbers": {
            each.record.call_id: {file: _proven(one, _asked(file, each.numbers)) for file, one in entries.items()}
            for each in opened
        },
    }
    return rfc8785.dumps(content)


def _entries(registry: UsedRegistry, used: UsedRegistries) -> dict[str, NumberEntries]:
    """A registry's entries for the numbers of its calls, by file.

    Raises TrustError and DocumentError.
    """
    texts = {file: used.octets(registry, file) for file in registry.files}
    if UNSIGNED in texts:
        return unsigned_entries(texts[UNSIGNED], parse_document(texts[UNSIGNED].decode(), UNSIGNED))
    return {
        file: entries_of(octets, _PARSERS[file](octets.decode("utf-8-sig"), file)) for file, octets in texts.items()
    }


def _asked(file: str, numbers: Mapping[NumberRole, Number]) -> list[int]:
    also = (NumberRole.CALLER,) if file in tuf_roles.OPTIONAL else ()
    roles = (NumberRole.FORWARDING, *also)
    return [int(numbers[role].e164) for role in roles if role in numbers and numbers[role].e164]


def _proven(entries: NumberEntries, numbers: Iterable[int]) -> list[dict[str, Any]]:
    found = {each.index: each for each in map(entries.of, numbers)}
    return [
        {
            "content": each.content,
            "index": each.index,
            "size": each.size,
            "path": [base64.b64encode(one).decode() for one in each.path],
        }
        for each in found.values()
    ]


def policy_json(policy: Policy) -> dict[str, Any]:
    """The policy as JSON, except for the called numbers that never receive a sound."""
    check = policy.chain_check
    return {
        "member": policy.member,
        "foreign_numbers": policy.foreign_numbers,
        "unknown_numbers": policy.unknown_numbers,
        "unlicensed": policy.unlicensed,
        "unreadable": policy.unreadable,
        "refuse_cause": policy.refuse_cause,
        "registry_stale_s": int(policy.registry_stale.total_seconds()),
        "notice_profile": policy.notice_profile,
        "notify": {direction.value: sorted(parties) for direction, parties in policy.notify.items()},
        "tones": [[direction, party, tone] for (direction, party), tone in sorted(policy.tones.items())],
        "unchecked_chain": policy.unchecked_chain,
        "chain_check_s": None if check is None else int(check.total_seconds()),
    }


def _policy(shown: Mapping[str, Any]) -> Policy:
    check = shown["chain_check_s"]
    return Policy(
        member=shown["member"],
        foreign_numbers=Unlicensed(shown["foreign_numbers"]),
        unknown_numbers=Unlicensed(shown["unknown_numbers"]),
        unlicensed=Unlicensed(shown["unlicensed"]),
        unreadable=Unreadable(shown["unreadable"]),
        refuse_cause=int(shown["refuse_cause"]),
        registry_stale=timedelta(seconds=shown["registry_stale_s"]),
        notice_profile=str(shown["notice_profile"]),
        notify={Direction(name): frozenset(map(Party, parties)) for name, parties in shown["notify"].items()},
        tones={(Direction(direction), Party(party)): str(tone) for direction, party, tone in shown["tones"]},
        unchecked_chain=Unlicensed(shown["unchecked_chain"]),
        chain_check=None if check is None else timedelta(seconds=check),
    )


# -- the decision again -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RepeatedDecision:
    """A decision that was repeated from an evidence pack.

    `decision` is None if it could not be repeated. `why` says why not, or why it differs from the recorded decision.
    `signed` is True if the association signed the excerpt, and `root_is_known` if the signature was verified with the
    given root.
    """

    record: Record
    decision: Decision | None = None
    why: str = ""
    signed: bool = False
    root_is_known: bool = False

    @property
    def is_same(self) -> bool:
        decision, record = self.decision, self.record
        if decision is None or record.registry_version not in (decision.registry_version, None):
            return False
        return (decision.outcome, decision.reason, decision.member, decision.wholesale_chain, decision.licence) == (
            record.outcome, record.reason, record.member, record.wholesale_chain, record.licence,
        )  # fmt: skip

    @property
    def is_good(self) -> bool:
        """True if the repeated decision matches the recorded one.

        It is also True, with a `why`, if the recorded reason does not depend on the registry alone.
        """
        return self.is_same or (bool(self.why) and self.record.reason in NOT_BY_REGISTRY)


def repeat_decision(files: Mapping[str, bytes], told: PackRecord, root: Metadata[Root] | None) -> RepeatedDecision:
    """Repeat the decision on a call from the registry's excerpt in an evidence pack.

    `root` is the association's root if it is known from a source other than the pack. Raises TrustError if the pack
    contradicts itself.
    """
    record = told.record
    if record.reason in NOT_BY_REGISTRY or record.registry_sha256 is None:
        words = Message("the registry alone does not decide: {reason}", reason=record.reason)
        return RepeatedDecision(record, why=words)
    name = f"registry/{record.registry_sha256}.json"
    if name not in files:
        return RepeatedDecision(
            record, why=Message("the pack does not show the registry {sha256}", sha256=record.registry_sha256)
        )
    forwarding = told.numbers.get(NumberRole.FORWARDING)
    if forwarding is None or forwarding.kind is NumberKind.MALFORMED:
        return RepeatedDecision(record, why=Message("the number stays sealed, or is no number"))
    try:
        shown = json.loads(files[name])
        registry, signed, is_known = _registry(shown, record, root)
        policy = _policy(shown["policy"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise TrustError("{path} cannot be read", path=name) from error
    masked = record.numbers.get(NumberRole.CALLER)
    withheld = WITHHELD if masked is None or not masked.token else Number(masked.kind)
    call = ForwardedCall(
        record.call_id,
        Direction(str(record.direction)),
        forwarding,
        told.numbers.get(NumberRole.CALLER, withheld),
        told.numbers.get(NumberRole.CALLED, WITHHELD),
    )
    decision = decide(call, registry, policy, time_by(registry, record.steps[0].at))
    return RepeatedDecision(record, decision, "", signed, is_known)


def _registry(
    shown: Mapping[str, Any], record: Record, root: Metadata[Root] | None
) -> tuple[RegistryExcerpt, bool, bool]:
    """The excerpt, True if it is signed, and True if the known root verifies the signature.

    Raises TrustError, and the errors of parsing.
    """
    metadata = {str(name): base64.b64decode(text, validate=True) for name, text in shown["metadata"].items()}
    given: Mapping[str, Sequence[Mapping[str, Any]]] = shown["numbers"][record.call_id]
    entries = {file: [Entry.parse(each["content"]) for each in some] for file, some in given.items()}
    digest = str(record.registry_sha256)
    if not metadata:
        return RegistryExcerpt(entries, None, digest), False, False
    from idtone.registry.trust.verified_metadata import verified_metadata  # imports TUF, which takes time

    signed = verified_metadata(metadata, root)
    if signed.numbers.keys() != given.keys():
        raise TrustError("the pack shows other files than the association has signed")
    for file, some in given.items():
        for each in some:
            path = tuple(base64.b64decode(one, validate=True) for one in each["path"])
            found = ProvenEntry(each["content"], each["index"], each["size"], path).root()
            if found is None or found.hex() != signed.numbers[file]:
                raise TrustError("the association has not signed what the pack shows of {file}", file=file)
    return RegistryExcerpt(entries, signed.expires, digest), True, signed.root_is_known

"""Owners of the evidence logs and accepted witnesses, in the form that the association signs.

The association signs it with the registry file (`custom.logs` of the target), so that evidence can contain it without
members' numbers. Section 6.8 of docs/evidence-format.md defines the form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from idtone.core.translation import Message
from idtone.core.yaml_documents import Location, ValidationFault

from .compiled_registry import text_of, utc
from .model import LogEntry, RegistryDocument, WitnessEntry

if TYPE_CHECKING:
    from idtone.core.signed_notes import VerifierKey


def named_logs(document: RegistryDocument) -> dict[str, Any] | None:
    """Logs and witnesses in the signed form, or None if the registry names neither."""
    policy = document.witness_policy
    members = [member for member in document.members if member.logs]
    if not members and policy is None:
        return None
    return {
        "members": [
            {
                "member": member.id,
                "name": {"ja": member.name.ja, "en": member.name.en},
                **({"corporate_number": member.corporate_number} if member.corporate_number else {}),
                "logs": list(map(_term, member.logs)),
            }
            for member in members
        ],
        "cosignatures": policy.cosignatures if policy else 0,
        "witnesses": list(map(_term, policy.witnesses)) if policy else [],
    }


def _term(entry: LogEntry | WitnessEntry) -> dict[str, str | None]:
    until = None if entry.until is None else text_of(utc(entry.until))
    return {"key": entry.key, "since": text_of(utc(entry.since)), "until": until}


def named_logs_faults(document: RegistryDocument) -> Iterator[ValidationFault]:
    """Faults in the logs and witnesses."""
    owners: dict[bytes, str] = {}
    seen: set[str] = set()
    for m, member in enumerate(document.members):
        for n, entry in enumerate(member.logs):
            here: Location = ("members", m, "logs", n)
            public = _key(entry.key).public
            if entry.key in seen or owners.setdefault(public, member.id) != member.id:
                yield ValidationFault(
                    (*here, "key"),
                    Message("is there twice, or another member's: a log is one member's"),
                    Message("Remove it in one place"),
                )
            seen.add(entry.key)
            yield from _dates(here, entry)
    policy = document.witness_policy
    if policy is None:
        return
    for n, witness in enumerate(policy.witnesses):
        here = ("witness_policy", "witnesses", n)
        if witness.key in seen or _key(witness.key).public in owners:
            yield ValidationFault(
                (*here, "key"),
                Message("is there twice, or signs a log: a log is no witness of itself"),
                Message("Remove it in one place"),
            )
        seen.add(witness.key)
        yield from _dates(here, witness)
    if policy.cosignatures > len(_names(policy.witnesses)):
        yield ValidationFault(
            ("witness_policy", "cosignatures"),
            Message("is more than there are witnesses"),
            Message("Add a witness, or demand fewer"),
        )


def _key(text: str) -> VerifierKey:
    from idtone.core.signed_notes import VerifierKey  # here, because most registries have no logs, and it takes time

    return VerifierKey.parse(text)


def _dates(here: Location, entry: LogEntry | WitnessEntry) -> Iterator[ValidationFault]:
    if entry.until is not None and entry.until <= entry.since:
        yield ValidationFault(
            (*here, "until"), Message("is not after `since`"), Message("Correct one of the two dates")
        )


def _names(witnesses: Iterable[WitnessEntry]) -> set[str]:
    """The witnesses' names. A witness that replaces its key keeps its name."""
    return {_key(each.key).name for each in witnesses}

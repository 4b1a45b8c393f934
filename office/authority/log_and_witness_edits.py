"""Edits `registry.yaml` to add or end evidence log keys and witnesses.

Each function changes `text`; `document` is its parsed form. Impossible edits raise UsageError.
"""

from datetime import datetime

from idtone.core.errors import UsageError
from idtone.core.yaml_documents import Location
from idtone.registry.model import LogEntry, RegistryDocument, WitnessEntry

from .registry_edits import check_member
from .yaml_text import Tree, YamlText

_POLICY = "witness_policy"


def insert_log_key(
    text: YamlText,
    document: RegistryDocument,
    member: str,
    key: str,
    since: datetime,
    corporate_number: str | None = None,
) -> None:
    """Add a member's evidence log key, and the corporate number of the company responsible for the log."""
    name = check_member(document, member)
    at, known = next((m, each) for m, each in enumerate(document.members) if each.id == name)
    if corporate_number is not None and known.corporate_number is None:
        text.add(("members", at), "corporate_number", corporate_number)
    elif corporate_number not in (None, known.corporate_number):
        raise UsageError("member {member} has another corporate number; correct it in registry.yaml", member=member)
    text.append(("members", at, "logs"), [_term(key, since)])


def set_log_key_end(text: YamlText, document: RegistryDocument, key: str, until: datetime) -> None:
    """Set a log key's end. Signatures made at or after `until` do not count."""
    found = (
        (m, n) for m, member in enumerate(document.members) for n, each in enumerate(member.logs) if each.key == key
    )
    if (place := next(found, None)) is None:
        raise UsageError("the registry has no log with this key; look at registry.yaml")
    m, n = place
    _end(text, ("members", m, "logs", n), document.members[m].logs[n], until)


def insert_witness(text: YamlText, document: RegistryDocument, key: str, since: datetime) -> None:
    """Add a witness whose cosignatures count.

    Adding the first witness also sets the number of required cosignatures to one.
    """
    if document.witness_policy is None:
        text.add((), _POLICY, {"cosignatures": 1, "witnesses": [_term(key, since)]})
    else:
        text.append((_POLICY, "witnesses"), [_term(key, since)])


def set_witness_end(text: YamlText, document: RegistryDocument, key: str, until: datetime) -> None:
    """Set a witness's end. Cosignatures it makes at or after `until` do not count."""
    witnesses = document.witness_policy.witnesses if document.witness_policy else ()
    n = next((n for n, each in enumerate(witnesses) if each.key == key), None)
    if n is None:
        raise UsageError("the registry has no witness with this key; look at registry.yaml")
    _end(text, (_POLICY, "witnesses", n), witnesses[n], until)


def set_cosignatures(text: YamlText, document: RegistryDocument, number: int) -> None:
    """Set the number of witnesses that must cosign a member's log."""
    if document.witness_policy is None:
        raise UsageError("the registry has no witness yet; `idtone-office log add-witness` enters one")
    text.replace((_POLICY, "cosignatures"), number)


def _term(key: str, since: datetime) -> dict[str, Tree]:
    return {"key": key, "since": since}


def _end(text: YamlText, here: Location, entry: LogEntry | WitnessEntry, until: datetime) -> None:
    if entry.until is None:
        text.add(here, "until", until)
    else:
        text.replace((*here, "until"), until)

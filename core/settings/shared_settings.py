"""Shared settings of a fleet: one signed file that each node's own settings override.

The file is a signed note (`signed_notes`). Its text is

    idtone-fleet-settings/v1
    7                                   the version: each edition has a larger one
    2026-11-28T04:00:00+00:00           when it was signed
    ledger:                             a file of settings, from the fourth line on
      …

Line numbers in faults therefore refer to the signed file.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypedDict

from ..errors import DocumentError, Fault, ProofError
from ..signed_notes import NOTE_LIMIT, Note, Signer, VerifierKey
from ..translation import Message
from ..yaml_documents import ValidationFault, read_text, read_tree, validate
from .settings import Settings, SharedSettings, locations, merge_trees

FORMAT: Final = "idtone-fleet-settings/v1"
SIGNED_BY: Final = "idtone-fleet"
"""The name of the key in signatures."""
_HEAD_LINES: Final = 3
_OVERRIDES_LIMIT: Final = 20
_TEXT_LIMIT: Final = 100
VERSION_LINE: Final = 2
_NOT_IN_NOTES: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")

Location = tuple[str, ...]

NODE_ALONE: Final[frozenset[Location]] = frozenset(
    {("node",), ("ledger", "origin"), ("fleet", "settings"), ("fleet", "trust")}
)
"""Keys that belong to a single node: its names and how it verifies the fleet's settings."""
SECRET: Final[frozenset[Location]] = frozenset({("ari", "password"), ("ledger", "password")})
"""Keys with secrets. Each has a counterpart that names a file."""
_MEMBERS: Final[frozenset[Location]] = frozenset({("association", "member")})
"""Keys that name a member. Their differences are hidden, like numbers, because a node's report must not name a member.
"""
NOT_SHOWN: Final = "(not shown)"


class FleetSettingsReport(TypedDict):
    """A node's report on the shared settings. `overrides` lists the settings that the node overrides."""

    version: int
    sha256: str
    signed: str
    overrides: list[str]


def merged_with_shared(own: Settings, tree: Mapping[str, Any]) -> Settings:
    """Combine the fleet's shared settings with a node's own settings.

    `tree` contains the keys that the node sets itself. Raises DocumentError if the shared file cannot be used.
    """
    fleet = own.fleet
    assert fleet.settings
    if fleet.trust is None:
        raise _of_trust(Message("is not set, and fleet.settings is"))
    try:
        key = VerifierKey.parse(fleet.trust)
    except ProofError as error:
        raise _of_trust(Message("cannot be used: {error}", error=error)) from error
    shared = read_shared(fleet.settings, key)
    return Settings.model_validate(merge_trees(shared.tree, tree)).overriding(shared)


def _of_trust(problem: str) -> DocumentError:
    remedy = Message("Write the line that `idtone-fleet new-signing-key` prints")
    return DocumentError([Fault("settings", 0, 0, "fleet.trust", problem, remedy)])


# -- the file -------------------------------------------------------------------------------------------------------


def read_shared(path: Path, *keys: VerifierKey) -> SharedSettings:
    """Read the shared settings. Verifies their signature with one of the keys.

    Verifies nothing if no keys are given. Raises DocumentError with file, line and field.
    """
    try:
        note = Note.parse(read_text(path, size_limit=NOTE_LIMIT).encode())
        if keys and not note.signed_by(keys):
            raise _whole(
                path,
                Message("is not signed by the expected key (fleet.trust)"),
                Message("Copy the file again from where it was signed; if the key was replaced, correct fleet.trust"),
            )
    except ProofError as error:
        raise _whole(
            path,
            Message("is not a whole signed file of settings: {error}", error=error),
            Message("Copy it again from where it was signed (idtone-fleet sign)"),
        ) from error
    return _read_note(note.text, path)


def _read_note(text: str, path: Path) -> SharedSettings:
    lines = text.split("\n", _HEAD_LINES)
    if lines[0] != FORMAT:
        raise _whole(
            path,
            Message("is signed, and has a format that this version does not know"),
            Message("Name a file of `idtone-fleet sign`, or upgrade idtone"),
            1,
        )
    try:
        version, signed, yaml = int(lines[1]), datetime.fromisoformat(lines[2]), lines[3]
    except (IndexError, ValueError) as error:
        remedy = Message("Sign the settings again with `idtone-fleet sign`")
        raise _whole(path, Message("has no version and time below its first line"), remedy, 2) from error
    settings, tree = check_shared("\n" * _HEAD_LINES + yaml, str(path))
    return SharedSettings(path, version, signed, hashlib.sha256(text.encode()).hexdigest(), settings, tree)


def _whole(path: Path, problem: str, remedy: str, line: int = 0) -> DocumentError:
    return DocumentError([Fault(str(path), line, min(line, 1), "", problem, remedy)])


def check_shared(text: str, name: str) -> tuple[Settings, Mapping[str, Any]]:
    """Validate the text of shared settings. Returns the settings and their tree. Raises DocumentError."""
    tree = read_tree(text, name)
    settings = validate(tree, text, name, Settings, lambda _: _unfit(tree or {}))
    return settings, tree or {}


def _unfit(tree: Mapping[str, Any]) -> Iterator[ValidationFault]:
    for location in sorted(NODE_ALONE | SECRET):
        at: Any = tree
        for step in location:
            at = at.get(step) if isinstance(at, Mapping) else None
        if at is None:
            continue
        if location in SECRET:
            yield ValidationFault(
                location,
                Message("is a secret, and this file is on all nodes"),
                Message("Name a file on each node, with `password_file`"),
            )
        else:
            yield ValidationFault(
                location,
                Message("is a key that each node has for itself"),
                Message("Remove it here, and write it into the idtone.yaml of each node that needs it"),
            )


def signed_settings(yaml: str, name: str, version: int, at: datetime, signers: Iterable[Signer]) -> Note:
    """Sign shared settings. Raises DocumentError if they do not suit every node."""
    yaml = yaml.rstrip("\n") + "\n"
    check_shared(yaml, name)
    if match := _NOT_IN_NOTES.search(yaml):
        line = yaml.count("\n", 0, match.start()) + 1
        raise DocumentError(
            [
                Fault(
                    name,
                    line,
                    match.start() - yaml.rfind("\n", 0, match.start()),
                    "",
                    Message("has a tab, or a line that ends in CR LF"),
                    Message("Write spaces instead, and end lines by LF alone"),
                )
            ]
        )
    text = f"{FORMAT}\n{version}\n{at.astimezone(UTC).isoformat(timespec='seconds')}\n{yaml}"
    return Note(text, tuple(signer.sign(text) for signer in signers))


# -- differences ----------------------------------------------------------------------------------------------------


def differing_settings(one: Settings, other: Settings) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ between two settings, each with both values in JSON form.

    Keys that belong to a single node are omitted. Telephone numbers and members are replaced by `NOT_SHOWN`.
    """
    found = {}
    left, right = one.model_dump(mode="json"), other.model_dump(mode="json")
    for location in locations():
        a, b = _at(left, location), _at(right, location)
        if a != b and location not in NODE_ALONE | SECRET:
            found[".".join(location)] = (NOT_SHOWN, NOT_SHOWN) if _is_hidden(location) else (a, b)
    return found


def _at(tree: Any, location: Location) -> Any:
    for step in location:
        tree = tree[step]
    return tree


def _is_hidden(location: Location) -> bool:
    model: Any = Settings
    for step in location[:-1]:
        model = model.model_fields[step].annotation
    return location in _MEMBERS or not model.model_fields[location[-1]].repr


def value_text(value: Any) -> str:
    """A value as a person would write it in the settings."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def overrides(settings: Settings) -> list[str]:
    """The settings in which this node differs from its fleet, sorted, such as `policy.waiting: 100`."""
    shared = settings.shared
    found = differing_settings(shared.settings, settings) if shared else {}
    return sorted(f"{name}: {value_text(own)}" for name, (_, own) in found.items())


def _short(texts: list[str]) -> list[str]:
    """Limit the number and length of the texts, because other nodes read them every second."""
    more = len(texts) - _OVERRIDES_LIMIT
    return [each[:_TEXT_LIMIT] for each in texts[:_OVERRIDES_LIMIT]] + ([f"… {more} more"] if more > 0 else [])


def fleet_settings_report(settings: Settings) -> FleetSettingsReport | None:
    """This node's report on the shared settings, or None if it has only its own settings.

    The report contains no secrets and no telephone numbers.
    """
    shared = settings.shared
    if shared is None:
        return None
    return FleetSettingsReport(
        version=shared.version,
        sha256=shared.sha256,
        signed=shared.signed.isoformat(),
        overrides=_short(overrides(settings)),
    )

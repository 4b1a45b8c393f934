"""Rules for editions. Key holders check them before signing, and the authority checks them before publishing.

A package may come from anyone, and its metadata could hide what its files do not show: keys under false ids, additional
files in a role, a version too high for any successor, or hidden targets. Therefore each draft has exactly one permitted
form, and `describe_edition` names every change.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key
from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from idtone.core.errors import TrustError
from idtone.core.japan_time import end_words
from idtone.core.translation import Message, joined
from idtone.member.customers.refused.refusal_list import RefusalList, list_differences
from idtone.registry.file_kinds import KINDS, Kind
from idtone.registry.model import RegistryDocument
from idtone.registry.named_logs import named_logs
from idtone.registry.number_entries import entries_of
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.roots import verified_successor

from . import operator_list
from .area_code_counts import describe_changed_numbers, whole_span
from .edition import Edition
from .stopped_members import unlisted_members

_SHA256: Final = re.compile("[0-9a-f]{64}")
_SPECIFICATION: Final = re.compile(r"1\.0\.\d{1,2}")
"""Permitted versions of the TUF specification. The pattern is strict because a holder signs this field unseen."""
_LONGEST: Final = timedelta(days=3653)
_EARLY: Final = timedelta(hours=1)
"""Tolerated difference between the authority's clock and the key holders' clocks."""
_LEAST: Final = 2
"""Lowest permitted threshold. A single stolen key must not be enough to sign."""


def _unfit(name: str, what: str) -> TrustError:
    return TrustError("{name} {what}; do not sign this package, ask for a new one", name=name, what=what)


# -- the published part ----------------------------------------------------------------------------------------------


def verify_published_part(edition: Edition, trusted: Metadata[Root]) -> None:
    """Verify an edition's published metadata, starting from the root that the key holder trusts.

    Raises TrustError.
    """
    before = edition.before
    if set(before) != set(tuf_roles.ROLES):
        raise _unfit(Message("the package"), Message("lacks the metadata that are published now"))
    root = trusted
    for later in edition.roots:
        if later.signed.version == root.signed.version + 1:
            root = verified_successor(root, later)
    if root.signed_bytes != before["root"].signed_bytes:
        raise _unfit(Message("the package"), Message("does not come from the association whose root you have"))
    for name in tuf_roles.ROLES:
        parent = before["targets" if name in tuf_roles.DELEGATED else "root"].signed
        try:
            parent.verify_delegate(name, before[name].signed_bytes, before[name].signatures)
        except UnsignedMetadataError as error:
            raise _unfit(Message("the published {name}", name=name), Message("is not signed by its keys")) from error
    for name, file in tuf_roles.DELEGATED.items():
        target = before[name].signed.targets.get(file)
        if target is None and file in tuf_roles.OPTIONAL:
            continue
        if target is None:
            raise _unfit(Message("the published {name}", name=name), Message("does not name {file}", file=file))
        _fits(target, edition.files.get(file), Message("the published {file}", file=file))
    refusals = before[tuf_roles.SUSPENSIONS].signed.targets.get(tuf_roles.REFUSALS_FILE)
    if refusals is not None:
        _fits(
            refusals,
            edition.files.get(tuf_roles.REFUSALS_FILE),
            Message("the published {file}", file=tuf_roles.REFUSALS_FILE),
        )


# -- the drafts ------------------------------------------------------------------------------------------------------


def check_edition(edition: Edition, now: datetime) -> None:
    """Check an edition's drafts against every rule. Raises TrustError or DocumentError for the first violation."""
    every = {**edition.before, **edition.metadata}
    if set(every) != set(tuf_roles.ROLES) or not edition.metadata:
        raise _unfit(Message("the package"), Message("lacks some of the roles"))
    for name, draft in edition.metadata.items():
        _examine_draft(name, draft, edition.before.get(name), now)
    _examine_keys(every["root"].signed, every["targets"].signed)
    named: set[str] = set()
    for name in tuf_roles.DELEGATED:
        if name in edition.metadata:
            _examine_targets(edition, name)
            named |= set(edition.metadata[name].signed.targets)
    if extra := edition.targets.keys() - named:
        raise _unfit(min(extra), Message("is in the package, but no metadata name it"))
    others = ("targets", *tuf_roles.DELEGATED)
    seen = {file: (meta.version, meta.length, meta.hashes) for file, meta in every["snapshot"].signed.meta.items()}
    if seen != {f"{name}.json": (every[name].signed.version, None, None) for name in others}:
        raise _unfit("snapshot", Message("names versions that do not belong together"))
    meta = every["timestamp"].signed.snapshot_meta
    if (meta.version, meta.length, meta.hashes) != (every["snapshot"].signed.version, None, None):
        raise _unfit("timestamp", Message("names another snapshot"))


def _examine_draft(name: str, draft: Metadata[Any], before: Metadata[Any] | None, now: datetime) -> None:
    signed = draft.signed
    if signed.version != (before.signed.version if before else 0) + 1:
        raise _unfit(name, Message("does not have the next version"))
    if signed.unrecognized_fields or draft.unrecognized_fields or not _SPECIFICATION.fullmatch(signed.spec_version):
        raise _unfit(name, Message("contains unknown fields"))
    if not now < signed.expires <= now + _LONGEST:
        raise _unfit(name, Message("expires at {at}, which is past or too far away", at=signed.expires.isoformat()))


def _examine_keys(root: Root, targets: Targets) -> None:
    delegations = targets.delegations
    if not root.consistent_snapshot or set(root.roles) != set(tuf_roles.ROLES) - set(tuf_roles.DELEGATED):
        raise _unfit("root", Message("has the wrong roles"))
    if targets.targets or delegations is None or delegations.roles is None or delegations.succinct_roles is not None:
        raise _unfit("targets", Message("names files itself, or delegates nothing"))
    if list(delegations.roles) != list(tuf_roles.PATHS) or delegations.unrecognized_fields:
        raise _unfit("targets", Message("delegates to the wrong roles"))
    for name, paths in tuf_roles.PATHS.items():
        role = delegations.roles[name]
        if list(role.paths or ()) != paths or not role.terminating or role.path_hash_prefixes is not None:
            raise _unfit(name, Message("may sign the wrong files"))
    sets: dict[tuf_roles.Keys, tuple[frozenset[str], int]] = {}
    for parent, keys, name in (
        (root, root.keys, "root"),
        (targets, delegations.keys, "targets"),
    ):
        names = [each for each in tuf_roles.ROLES if (each in tuf_roles.DELEGATED) == (parent is targets)]
        for each in names:
            role_of: Any = parent.get_delegated_role(each)
            keyids = frozenset(role_of.keyids)
            if role_of.unrecognized_fields or not _LEAST <= role_of.threshold <= len(keyids):
                raise _unfit(each, Message("has too low a threshold"))
            if any(keyid not in keys or _content_id(keys[keyid]) != keyid for keyid in keyids):
                raise _unfit(each, Message("has a key under the id of another key"))
            kind = tuf_roles.ROLES[each].keys
            if sets.setdefault(kind, (keyids, role_of.threshold)) != (keyids, role_of.threshold):
                raise _unfit(each, Message("has keys that differ from the rest of the set {kind}", kind=kind))
        if set(keys) != {keyid for each in names for keyid in parent.get_delegated_role(each).keyids}:
            raise _unfit(name, Message("lists keys that no role uses"))


def _content_id(key: Key) -> str:
    """Key id that securesystemslib derives from the key's content; empty if the key has unknown fields."""
    if key.unrecognized_fields:
        return ""
    content = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
    return hashlib.sha256(str(encode_canonical(content)).encode()).hexdigest()


def _examine_targets(edition: Edition, name: str) -> None:
    file, named = tuf_roles.DELEGATED[name], edition.metadata[name].signed.targets
    before = edition.before[name].signed.targets if name in edition.before else {}
    if edition.metadata[name].signed.delegations is not None:
        raise _unfit(name, Message("delegates its files to other roles"))
    if file in tuf_roles.OPTIONAL and not named and file not in before:
        return
    for path, target in named.items():
        octets = edition.targets.get(path)
        published = before.get(path)
        if octets is None and (published is None or published.hashes != target.hashes):
            raise _unfit(path, Message("is missing from the package"))
        if octets is not None:
            _fits(target, octets, path)
        given = target.custom if isinstance(target.custom, dict) else {}
        known = {"history": _anchor(given), "numbers": given.get("numbers")}
        known |= {"logs": given["logs"]} if name == tuf_roles.REGISTRY and "logs" in given else {}
        custom = {"custom": known} if path == file else {}
        if target.unrecognized_fields != custom or set(target.hashes) != {"sha256"}:
            raise _unfit(path, Message("has unknown fields"))
    others = {tuf_roles.SUSPENSIONS: {tuf_roles.REFUSALS_FILE}, tuf_roles.NEVER_ORIGINATES: set[str]()}
    if file not in named or (name in others and set(named) - {file} - others[name]):
        raise _unfit(name, Message("does not name its own files alone"))
    document = KINDS[name].parse(_text(edition, file), file)
    octets = edition.targets[file] if file in edition.targets else edition.files[file]
    if (named[file].custom or {})["numbers"] != entries_of(octets, document).root:
        raise _unfit(name, Message("names another root of the numbers than that of {file}", file=file))
    if name == tuf_roles.SUSPENSIONS and tuf_roles.REFUSALS_FILE in named:
        if tuf_roles.REFUSALS_FILE not in edition.targets:
            raise _unfit(tuf_roles.REFUSALS_FILE, Message("is missing from the package"))
        RefusalList(edition.targets[tuf_roles.REFUSALS_FILE]).check_order()
    if name != tuf_roles.REGISTRY:
        return
    if (named[file].custom or {}).get("logs") != named_logs(document):
        raise _unfit(name, Message("names other logs and witnesses than {file}", file=file))
    if tuf_roles.OPERATORS_FILE not in named or not _has_its_list(edition, document):
        raise _unfit(tuf_roles.OPERATORS_FILE, Message("is not the list that follows from {file}", file=file))
    masters = {tone.id: tone.sha256 for tone in document.tones}
    for path in named.keys() - {file, tuf_roles.OPERATORS_FILE}:
        if PurePosixPath(path).parent.as_posix() != tuf_roles.TONES or (
            named[path].hashes["sha256"] != masters.get(PurePosixPath(path).stem)
        ):
            raise _unfit(path, Message("is not a master that {file} names", file=file))


def _anchor(custom: Mapping[str, Any]) -> dict[str, Any]:
    match custom.get("history"):
        case {"entries": int() as entries, "sha256": str() as sha256} if (
            type(entries) is int and entries >= 0 and _SHA256.fullmatch(sha256)
        ):
            return {"entries": entries, "sha256": sha256}
    return {}


def _has_its_list(edition: Edition, document: RegistryDocument) -> bool:
    suspensions = _suspensions(edition.files, edition.targets)
    return edition.targets.get(tuf_roles.OPERATORS_FILE) == operator_list.operator_list_json(document, suspensions)


def check_operator_list(edition: Edition) -> None:
    """Check that an edition's public list `operators.json` still matches the suspensions.

    A suspension published after the edition was prepared can change the list. Raises TrustError.
    """
    if tuf_roles.REGISTRY not in edition.metadata:
        return
    file = tuf_roles.REGISTRY_FILE
    if not _has_its_list(edition, KINDS[tuf_roles.REGISTRY].parse(_text(edition, file), file)):
        raise TrustError(
            "the public list has changed because of a suspension; discard this package and prepare it again"
        )


def _suspensions(*files: Mapping[str, bytes]) -> Any:
    file = tuf_roles.SUSPENSIONS_FILE
    octets = next((each[file] for each in reversed(files) if file in each), None)
    return None if octets is None else KINDS[tuf_roles.SUSPENSIONS].parse(octets.decode("utf-8-sig", "replace"), file)


def check_issued(edition: Edition, now: datetime) -> None:
    """Check that `issued` is not in the future in any changed file of the edition. Raises TrustError.

    Members never treat the current time as earlier than this date. A mistyped year would therefore end all licences
    immediately.
    """
    for name in _changed_files(edition):
        file, kind = tuf_roles.DELEGATED[name], KINDS[name]
        at = kind.head(kind.parse(_text(edition, file), file)).issued
        if at > now + _EARLY:
            raise TrustError(
                "{file}: is issued in the future, at {at}; set `issued` to now", file=file, at=at.isoformat()
            )


def _fits(target: TargetFile, octets: bytes | None, name: str) -> None:
    try:
        target.verify_length_and_hashes(octets or b"")
    except LengthOrHashMismatchError as error:
        raise _unfit(name, Message("is not the file that was signed")) from error


def _text(edition: Edition, file: str) -> str:
    try:
        return edition.targets[file].decode("utf-8-sig")
    except (KeyError, UnicodeDecodeError) as error:
        raise _unfit(file, Message("is missing from the package, or is not text")) from error


# -- in words ---------------------------------------------------------------------------------------------------------


def describe_edition(edition: Edition, is_whole: bool = False) -> Iterator[str]:
    """Describe every change in an edition that `check_edition` accepted.

    With `is_whole`, the texts show complete numbers and counts by area code, for a key holder who is about to sign.
    """
    for name in _changed_files(edition):
        yield from _file_words(edition, name, is_whole)
    yield from _key_words(edition)
    for name, draft in edition.metadata.items():
        yield Message(
            "{name}: version {version}, valid until {until}",
            name=name,
            version=draft.signed.version,
            until=end_words(draft.signed.expires),
        )


def _changed_files(edition: Edition) -> list[str]:
    return [
        name
        for name, file in tuf_roles.DELEGATED.items()
        if name in edition.metadata and file in edition.metadata[name].signed.targets
    ]


def _file_words(edition: Edition, name: str, is_whole: bool) -> Iterator[str]:
    file, kind = tuf_roles.DELEGATED[name], KINDS[name]
    new, octets = kind.parse(_text(edition, file), file), edition.files.get(file)
    if octets is None:
        yield Message(
            "{file}: the first edition, {stamp}",
            file=file,
            stamp=", ".join(f"{field} {_stamp(kind, new, field)}" for field in kind.stamp),
        )
        old = kind.emptied(new)
    else:
        old = kind.parse(octets.decode("utf-8-sig"), file)
        if octets != edition.targets[file]:
            both = (
                Message(
                    "{field} {new}, was {old}", field=field, new=_stamp(kind, new, field), old=_stamp(kind, old, field)
                )
                for field in kind.stamp
            )
            yield Message("{file}: {words}", file=file, words=joined("; ", both))
    if is_whole:
        yield from describe_changed_numbers(old, new)
        yield from kind.differences(old, new, whole_span)
    else:
        yield from kind.differences(old, new)
    if name == tuf_roles.REGISTRY:
        stopped = (
            unlisted_members(new, _suspensions(edition.files)),
            unlisted_members(new, _suspensions(edition.files, edition.targets)),
        )
        for said in operator_list.describe_list_changes(new, *stopped):
            yield Message("{file}: {words}", file=tuf_roles.OPERATORS_FILE, words=said)
    if name == tuf_roles.SUSPENSIONS and not _is_same_list(edition):
        for words in list_differences(_refusals(edition.files), _refusals(edition.targets)):
            yield Message("{file}: {words}", file=tuf_roles.REFUSALS_FILE, words=words)
    yield from _history_words(edition, name)


def _is_same_list(edition: Edition) -> bool:
    return edition.files.get(tuf_roles.REFUSALS_FILE) == edition.targets.get(tuf_roles.REFUSALS_FILE)


def _refusals(files: Mapping[str, bytes]) -> RefusalList | None:
    octets = files.get(tuf_roles.REFUSALS_FILE)
    return None if octets is None else RefusalList(octets)


def _stamp(kind: Kind, document: Any, field: str) -> str:
    value = getattr(kind.head(document), field)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _history_words(edition: Edition, name: str) -> Iterator[str]:
    target = edition.metadata[name].signed.targets[tuf_roles.DELEGATED[name]]
    anchor = (target.custom or {}).get("history", {})
    if anchor.get("entries"):
        yield Message(
            "history of {name}: {entries} lines, SHA-256 {sha256}",
            name=name,
            entries=anchor["entries"],
            sha256=anchor.get("sha256"),
        )


def _key_words(edition: Edition) -> Iterator[str]:
    told: set[tuf_roles.Keys] = set()
    for name, role in tuf_roles.ROLES.items():
        old, new = (_signs(metadata, name) for metadata in (edition.before, {**edition.before, **edition.metadata}))
        if old != new and role.keys not in told:
            told.add(role.keys)
            threshold, keyids = new
            yield Message(
                "the set {set} signs with {threshold} of {count} keys:",
                set=role.keys,
                threshold=threshold,
                count=len(keyids),
            )
            yield from (f"  {keyid}" for keyid in keyids)


def _signs(metadata: Mapping[str, Metadata[Any]], name: str) -> tuple[int, Sequence[str]]:
    parent = "targets" if name in tuf_roles.DELEGATED else "root"
    if parent not in metadata:
        return 0, ()
    role = metadata[parent].signed.get_delegated_role(name)
    return role.threshold, sorted(role.keyids)

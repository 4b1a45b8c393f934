"""A change in the desk's folder: made in the text, held against every rule, written, and entered into the history."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from idtone.documents import read_text
from idtone.errors import TrustError, UsageError
from idtone.files import replace_durably

from ..model import RegistryDocument, SuspensionsDocument
from ..signed import parse_registry, parse_suspensions
from ..trust import layout
from . import changes
from .applications import Application, parse_application
from .desk import APPLICATIONS, Desk
from .differences import registry_differences, suspension_differences
from .history import Entry, Result, Verb

JAPAN: Final = timezone(timedelta(hours=9), "JST")
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Word:
    """Who does something, and why."""

    by: str
    why: str
    at: datetime
    confirmed_by: str | None = None

    def entry(self, verb: Verb, subject: str, **more: Any) -> Entry:
        return Entry(
            at=self.at, verb=verb, by=self.by, confirmed_by=self.confirmed_by, subject=subject, why=self.why, **more
        )  # fmt: skip


def change_registry(
    desk: Desk, verb: Verb, subject: str, word: Word, edit: Callable[[str, RegistryDocument], str], **more: Any
) -> Entry:
    """Change registry.yaml, to a later edition than is published. Raises IdtoneError; then nothing has changed."""
    file = layout.REGISTRY_FILE
    with desk.locked():
        octets, text = _before(desk, layout.REGISTRY)
        old = parse_registry(text, str(desk.folder / file))
        published = desk.published_octets(layout.REGISTRY)
        version = 0 if published is None else parse_registry(published.decode("utf-8-sig"), file).registry.version
        changed = edit(text, old)
        changed = changes.stamped(changed, max(old.registry.version, version + 1), _in_japan(word.at))
        new = parse_registry(changed, f"{desk.folder / file} as it would be")
        what = tuple(registry_differences(old, new))
        return _written(desk, layout.REGISTRY, octets, changed, word.entry(verb, subject, what=what, **more))


def change_suspensions(
    desk: Desk, verb: Verb, subject: str, word: Word, edit: Callable[[str, SuspensionsDocument], str], **more: Any
) -> Entry:
    """Change suspensions.yaml; as `change_registry`."""
    file = layout.SUSPENSIONS_FILE
    with desk.locked():
        octets, text = _before(desk, layout.SUSPENSIONS)
        old = parse_suspensions(text, str(desk.folder / file))
        changed = edit(text, old)
        new = parse_suspensions(changed, f"{desk.folder / file} as it would be")
        what = tuple(suspension_differences(old, new))
        return _written(desk, layout.SUSPENSIONS, octets, changed, word.entry(verb, subject, what=what, **more))


def enter_edits(desk: Desk, word: Word, roles: Iterable[str]) -> list[Entry]:
    """Enter into the history what was changed by hand. Raises IdtoneError."""
    with desk.locked():
        return [_edited(desk, role, word) for role in roles]


def _edited(desk: Desk, role: str, word: Word) -> Entry:
    file = layout.DELEGATED[role]
    octets, published = desk.octets(file), desk.published_octets(role)
    name = str(desk.folder / file)
    text = _text(octets, name)
    old = None if published is None else _text(published, file)
    what: tuple[str, ...] = ()
    if role == layout.REGISTRY:
        new = parse_registry(text, name)
        if old is not None:
            before = parse_registry(old, file)
            what = tuple(registry_differences(before, new))
            if new.registry.version <= before.registry.version:
                raise TrustError(
                    f"{name}: registry.version is {new.registry.version}, and that was published already; raise it"
                )
    else:
        stopped = parse_suspensions(text, name)
        what = tuple(suspension_differences(parse_suspensions(old, file), stopped)) if old is not None else ()
    entry = word.entry(Verb.EDIT, file, what=what, before=_sha256(published), after=_sha256(octets))
    desk.history(role).with_entry(entry)
    return entry


# -- applications -----------------------------------------------------------------------------------------------------


def apply(desk: Desk, path: Path, word: Word) -> tuple[Application, Entry]:
    """Take in a member's application, whole and without a fault, and such that it could be granted."""
    text = read_text(path)
    application = parse_application(text, str(path))
    with desk.locked():
        history = desk.history(layout.REGISTRY)
        if any(entry.verb is Verb.GRANT for entry in history.of(application.id)):
            raise UsageError(f"{path}: application {application.id} was granted already; give this one another id")
        _, registry = _before(desk, layout.REGISTRY)
        document = parse_registry(registry, str(desk.folder / layout.REGISTRY_FILE))
        trial = changes.granted(registry, document, application, word.at, word.at + timedelta(days=1))
        parse_registry(trial, f"{layout.REGISTRY_FILE}, if {application.id} was granted")
        octets = text.encode()
        entry = word.entry(Verb.APPLY, application.id, application=_sha256(octets))
        try:
            folder = desk.folder / APPLICATIONS
            folder.mkdir(mode=0o700, exist_ok=True)
            replace_durably(folder / f"{application.id}.yaml", octets, _PRIVATE)
        except OSError as error:
            raise TrustError(f"{error.filename or desk.folder}: cannot be written: {error.strerror}") from error
        history.with_entry(entry)
    return application, entry


def review(desk: Desk, application: str, result: Result, word: Word) -> Entry:
    """Say what an examination of an application has given."""
    with desk.locked():
        _, sha256 = _application(desk, application)
        entry = word.entry(Verb.REVIEW, application, result=result, application=sha256)
        desk.history(layout.REGISTRY).with_entry(entry)
    return entry


def grant(desk: Desk, application: str, start: datetime, until: datetime, word: Word) -> Entry:
    """What an application asks for that has passed its review. Raises UsageError where it has not."""
    asked, sha256 = _application(desk, application)
    reviews = [entry for entry in desk.history(layout.REGISTRY).of(application) if entry.verb is Verb.REVIEW]
    if not reviews or reviews[-1].result is not Result.PASSED:
        raise UsageError(f"application {application} has not passed its review; `idtone registry review` comes first")
    if reviews[-1].application != sha256:
        raise UsageError(f"application {application} was changed after its review; have it reviewed again")
    if any(entry.verb is Verb.GRANT for entry in desk.history(layout.REGISTRY).of(application)):
        raise UsageError(f"application {application} was granted already")

    def edit(text: str, document: RegistryDocument) -> str:
        return changes.granted(text, document, asked, start, until)

    return change_registry(desk, Verb.GRANT, application, word, edit, application=sha256)


def _application(desk: Desk, name: str) -> tuple[Application, str]:
    path = desk.folder / APPLICATIONS / f"{name}.yaml"
    if Path(name).name != name or not path.exists():
        raise UsageError(f"there is no application {name!r}; `idtone registry apply` takes one in")
    text = read_text(path)
    return parse_application(text, str(path)), _sha256(text.encode()) or ""


# -- how --------------------------------------------------------------------------------------------------------------


def _before(desk: Desk, role: str) -> tuple[bytes, str]:
    """The file as it stands. Raises TrustError where somebody changed it by hand and has not said so."""
    file = layout.DELEGATED[role]
    if role in desk.unexplained():
        raise TrustError(
            f"{desk.folder / file}: was changed by hand; `idtone registry publish` with --by and --why enters that"
            " into the history, and `idtone registry note` does so without publishing"
        )
    octets = desk.octets(file)
    return octets, _text(octets, desk.folder / file)


def _written(desk: Desk, role: str, before: bytes, text: str, entry: Entry) -> Entry:
    octets = text.encode()
    if not entry.what:
        raise UsageError("that would change nothing")
    path = desk.folder / layout.DELEGATED[role]
    history = desk.history(role)
    try:
        replace_durably(path, octets)
    except OSError as error:
        raise TrustError(f"{path}: cannot be written: {error.strerror}") from error
    entry = entry.model_copy(update={"before": _sha256(before), "after": _sha256(octets)})
    history.with_entry(entry)
    return entry


def _text(octets: bytes, name: object) -> str:
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrustError(f"{name}: is not UTF-8; save it as UTF-8 text") from error


def _sha256(octets: bytes | None) -> str | None:
    return None if octets is None else hashlib.sha256(octets).hexdigest()


def _in_japan(moment: datetime) -> datetime:
    return moment.astimezone(JAPAN).replace(microsecond=0)

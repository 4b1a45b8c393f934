"""The command `idtone restore`, which rebuilds a node from its archives.

The node never signs under its old log name again. The restored ledger is set aside, and the service begins the next
ledger, as after damage to the database. The new ledger has a new name, and its first leaf names the old ledger's newest
known head.

The new ledger's name is written before the signing key. Therefore no service can sign a second history, even if the
restore is killed.
"""

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from idtone.core.errors import BackupError
from idtone.core.files import make_public_folder, replace_durably, sync_folder
from idtone.core.settings.settings import DEFAULT_FILE, Settings
from idtone.core.signed_notes import Note
from idtone.ledger.keys.key_ring import own_key
from idtone.ledger.keys.private_files import PRIVATE_FILE, make_parents, replace_private
from idtone.ledger.keys.successor_trees import RESTORED, SuccessorTrees, move_aside, name_aside
from idtone.ledger.store.database import Database
from idtone.ledger.store.meta import CHECKPOINT, facts
from idtone.ledger.store.sqlite import lock_for_writing
from idtone.ledger.tree.checkpoints import Checkpoint

from .backup_contents import FOLDER, KEPT, OFFICE, OWN, SETTINGS, ledgers_of
from .known_heads import KnownHead, known_heads, latest
from .unpack import RestoredTree, Unpacked

OVERLAY: Final = "90-restored.yaml"
"""The settings file that a restore adds to the node."""
_HEAD: Final = "# Written by `idtone restore`. idtone restore が作成しました。\n"
_LAST: Final = (r"/ledger\.key\.days", r"/ledger\.key", r"/ledger\.key\.sign(-[0-9]+)?")
"""Patterns for the roles of keys. Keys are restored last, in this order."""
_SETTINGS_MODE: Final = 0o644
_KEPT_BESIDE: Final = ("settings/", "ari/password_file")
"""Beginnings of the roles of files that the package or the operator may already have created. Existing ones are kept
next to the restored ones."""


@dataclass(frozen=True)
class Target:
    """The destination of each restored file: its original path, or a path in another folder."""

    places: Mapping[str, str]
    folder: Path | None
    final: Path | None = None
    """The folder's final path if `folder` is a draft. Restored files refer to this path."""

    def path(self, role: str) -> Path:
        """Path at which the restore writes the file for a role.

        Raises BackupError for a role without a place.
        """
        return self._path(role, self.folder)

    def name(self, role: str) -> Path:
        """Path of the file for a role once the restored folder has its final name.

        Raises BackupError for a role without a place.
        """
        return self._path(role, self.final or self.folder)

    def _path(self, role: str, folder: Path | None) -> Path:
        if folder is not None:
            return folder / role.removeprefix("settings/")
        place, rest = role, ""
        while place not in self.places:
            place, slash, last = place.rpartition("/")
            if not slash:
                raise BackupError("the archive does not say where {role} was", role=role)
            rest = f"/{last}{rest}"
        return Path(self.places[place] + rest)


@dataclass
class Restored:
    """A restored node: its settings, its new log, and what the archives lacked.

    `heads` are those known outside the archives. `lost` is the number of signed leaves that the archives lack.
    """

    settings: Path
    origin: str
    after: str
    aside: Path
    heads: list[KnownHead] = field(default_factory=list)
    leaves: int = 0
    signed: int = 0

    @property
    def lost(self) -> int:
        return max(0, self.signed - self.leaves)


def restore_here(unpacked: Unpacked, ask: bool) -> Restored:
    """Restore archives to the original paths.

    Raises BackupError if other files are at those paths.
    """
    target = Target(unpacked.header.places, None)
    with _locked(target, unpacked):
        return _placed(unpacked, target, ask)


def restore_into(unpacked: Unpacked, folder: Path, ask: bool) -> Restored:
    """Restore archives into a new folder, with settings for that folder.

    The folder appears complete or not at all. Raises BackupError if the folder is not empty.
    """
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise BackupError("{path} is not empty; name a new folder", path=folder)
    draft = folder.with_name(f".{folder.name}.restoring")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # the files of an earlier run that was killed
        make_parents(draft)
        draft.mkdir(0o700)
        restored = _placed(unpacked, Target(unpacked.header.places, draft, folder), ask)
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise _unwritable(error, draft) from error
    return restored


@contextmanager
def _locked(target: Target, unpacked: Unpacked) -> Iterator[None]:
    """Hold the ledgers' locks, so that no service or command writes to them.

    Raises LedgerInUseError.
    """
    held = []
    try:
        for role in {tree.role for tree in unpacked.trees}:
            path = target.path(f"{role}/ledger.sqlite3")
            make_parents(path)
            held.append(lock_for_writing(path))
        yield
    except OSError as error:
        raise _unwritable(error, target.path(SETTINGS)) from error
    finally:
        for each in held:
            os.close(each)


def _unwritable(error: OSError, path: Path) -> BackupError:
    return BackupError(
        "{path}: cannot be restored: {reason}; run this as root, and see whether its disk has room",
        path=error.filename or path,
        reason=error.strerror,
    )


def _placed(unpacked: Unpacked, target: Target, ask: bool) -> Restored:
    roles = sorted(str(path.relative_to(unpacked.folder)) for path in unpacked.folder.rglob("*") if path.is_file())
    keys = sorted((role for role in roles if _turn_of(role) is not None), key=lambda role: _turn_of(role) or 0)
    others = [role for role in roles if role not in keys and not role.endswith("/ledger.key.continued")]
    _check_free(unpacked, target, [*others, *keys])
    for role in (SETTINGS, f"{FOLDER}/{OVERLAY}"):
        make_public_folder(target.path(role).parent)  # before a private file in it would make it private
    for role in others:
        _put(unpacked, role, target.path(role))
    _write_settings(unpacked, target)
    made: list[Restored] = []
    for role in (OWN, OFFICE):
        trees = [tree for tree in unpacked.trees if tree.role == role]
        if trees:
            made.append(_place_ledger(trees, unpacked, target, ask))
    for role in keys:
        _put(unpacked, role, target.path(role))
    if not made:
        raise BackupError("the archive has no ledger")
    return made[0]


def _turn_of(role: str) -> int | None:
    """A key's position in `_LAST`; None for other roles."""
    return next((turn for turn, end in enumerate(_LAST) if re.search(f"{end}$", role)), None)


def _check_free(unpacked: Unpacked, target: Target, roles: list[str]) -> None:
    """Check that the restore does not overwrite another node's files.

    Files from an earlier restore may exist. Raises BackupError.
    """
    for tree in unpacked.trees:
        path = target.path(f"{tree.role}/ledger.sqlite3")
        if path.exists() and path.stat().st_size:
            raise BackupError(
                "{path}: there is a ledger already; stop the service and move it away, or restore into another "
                "folder (--into DIR)",
                path=path,
            )
    for role in roles:
        path = target.path(role)
        is_replaced = role.startswith((*_KEPT_BESIDE, "registry/", "lines/cache"))
        if not is_replaced and path.exists() and path.read_bytes() != (unpacked.folder / role).read_bytes():
            raise BackupError(
                "{path}: there is another file; move it away, or restore into another folder (--into DIR)", path=path
            )


def _put(unpacked: Unpacked, role: str, target: Path) -> None:
    """Put a file in its place.

    Existing settings and passwords that differ are kept next to it. Raises OSError.
    """
    source = unpacked.folder / role
    octets = source.read_bytes()
    make_parents(target)
    is_settings = role.startswith("settings/")
    if role.startswith(_KEPT_BESIDE) and target.exists() and target.read_bytes() != octets:
        kept = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
        replace_durably(kept, target.read_bytes(), _SETTINGS_MODE if is_settings else PRIVATE_FILE)
    if is_settings:
        replace_durably(target, octets, _SETTINGS_MODE)
        return
    owner = _uid(unpacked.owners.get(role, "")) if os.geteuid() == 0 else None
    if owner is None:
        replace_private(target, octets)
    else:
        replace_durably(target, octets, PRIVATE_FILE, owner=owner)
    target.chmod(source.stat().st_mode & 0o755)


def _uid(name: str) -> int | None:
    """A user's id; None if the user does not exist on this machine."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _write_settings(unpacked: Unpacked, target: Target) -> None:
    """Write the node's name into the settings, because the new ledger has another name.

    If the node is restored into another folder, write all paths too.
    """
    tree: dict[str, Any] = {"node": unpacked.header.node}
    if target.folder is not None:
        for key in KEPT:
            role = key.replace(".", "/")
            if role in unpacked.header.places:
                _set(tree, key, str(target.name(role)))
        if "customers/directory" not in unpacked.header.places:
            _set(tree, "customers.directory", str(target.name("customers/directory")))
        for key, role in (("ledger.spool", f"{OWN}/ledger.sqlite3"), ("ledger.key_file", f"{OWN}/ledger.key")):
            _set(tree, key, str(target.name(role)))
        if not _is_shared(unpacked):
            _set(tree, "ledger.url", f"sqlite:///{target.name(f'{OWN}/ledger.sqlite3')}")
        _set(tree, "ledger.seen_file", str(target.name(f"{OWN}/ledger.key.seen")))
        _set(tree, "backup.result", str(target.name("backup.json")))
        _set(tree, "backup.directory", str(target.name("backups")))
        _set(tree, "canary.result", str(target.name("canary.json")))
        _rewrite_office(unpacked, target)
    path = target.path(f"{FOLDER}/{OVERLAY}")
    make_parents(path)
    replace_durably(path, (_HEAD + yaml.safe_dump(tree, allow_unicode=True)).encode(), _SETTINGS_MODE)
    main = target.path(SETTINGS)
    if not main.exists():  # the node had none
        replace_durably(main, _HEAD.encode(), _SETTINGS_MODE)


def _is_shared(unpacked: Unpacked) -> bool:
    return any(tree.settings.is_shared() for tree in unpacked.trees if tree.role == OWN)


def _rewrite_office(unpacked: Unpacked, target: Target) -> None:
    path = target.path(f"{OFFICE}/idtone.yaml")
    if path.exists():
        found = yaml.safe_load(path.read_text("utf-8"))
        found["ledger"]["url"] = f"sqlite:///{target.name(f'{OFFICE}/ledger.sqlite3')}"
        found["ledger"]["key_file"] = str(target.name(f"{OFFICE}/ledger.key"))
        replace_private(path, yaml.safe_dump(found, sort_keys=False).encode())


def _set(tree: dict[str, Any], key: str, value: str) -> None:
    *above, last = key.split(".")
    for name in above:
        tree = tree.setdefault(name, {})
    tree[last] = value


def _place_ledger(trees: list[RestoredTree], unpacked: Unpacked, target: Target, ask: bool) -> Restored:
    present = next(tree for tree in trees if tree.is_present)
    role = present.role
    database, key = target.path(f"{role}/ledger.sqlite3"), target.path(f"{role}/ledger.key")
    password = target.path("ledger/password_file") if "ledger/password_file" in unpacked.header.places else None
    named = present.settings.model_copy(update={"password_file": password})
    heads = known_heads(named, present.key, ask)
    if present.note:
        heads.append(KnownHead(str(unpacked.archives[-1]), present.note))
    head = latest(heads)
    for tree in trees:
        if not tree.is_present:
            _move(tree.file, database.with_name(tree.name))
    continued = key.with_name(f"{key.name}.continued")
    source = unpacked.folder / f"{role}/ledger.key.continued"
    if source.exists() and not continued.exists():
        replace_private(continued, source.read_bytes())
    base = named.log_origin(present.node)
    successor_trees = SuccessorTrees(continued, base)
    final = target.name(f"{role}/ledger.sqlite3")
    if all(each.begun for each in successor_trees.trees):  # otherwise an earlier run was killed after this
        aside = final.with_name(name_aside(database, datetime.now(UTC), RESTORED).name)
        successor_trees.add(head.note if head else None, final, aside, is_restored=True)
    aside = final.with_name(Path(successor_trees.trees[-1].file).name)
    if not database.with_name(aside.name).exists():
        _move(present.file, database.with_name(aside.name))
    return Restored(
        target.name(SETTINGS),
        successor_trees.origin,
        present.tree,
        aside,
        heads,
        present.leaves,
        head.size if head else 0,
    )


def _move(source: Path, target: Path) -> None:
    """Move a file, even to another disk. Raises OSError."""
    make_parents(target)
    draft = target.with_name(f".{target.name}.restoring")
    shutil.copyfile(source, draft)
    owner = target.parent.stat().st_uid if os.geteuid() == 0 else -1
    os.chown(draft, owner, -1)
    draft.chmod(0o600)
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(target)
    sync_folder(target.parent)


def continue_copied_ledger(settings: Settings, config: Path | None, ask: bool) -> Restored:
    """Set aside a copied ledger, and name the ledger that continues it.

    Use this for a ledger that was copied without `idtone restore`. Raises LedgerInUseError while the service runs, and
    BackupError if there is no ledger.
    """
    place = ledgers_of(settings)[0]
    path = place.database
    if not path.exists():
        raise BackupError("{path}: there is no ledger; name the archives", path=path)
    lock = lock_for_writing(path)
    try:
        successor_trees = place.successor_trees
        key = own_key(place.settings, place.node)
        database = Database.in_file(place.settings.own_url())
        with database.reading() as connection:
            held = facts(connection).get(CHECKPOINT)
        heads = known_heads(place.settings, key, ask)
        note = Note.parse(held.encode()) if held else None
        heads.append(KnownHead(str(path), note))
        head = latest(heads)
        aside = name_aside(path, datetime.now(UTC), RESTORED)
        successor_trees.add(head.note if head else None, path, aside, is_restored=True)
        move_aside(path, aside)
    except OSError as error:
        raise _unwritable(error, path) from error
    finally:
        os.close(lock)
    size = Checkpoint.parse(note.text).size if note else 0
    return Restored(
        config or DEFAULT_FILE, successor_trees.origin, key.name, aside, heads, size, head.size if head else 0
    )


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for unpacked archives, readable only by the current user."""
    return tempfile.TemporaryDirectory(prefix="idtone-restore-")

"""Unpacks backup archives into a folder, and rebuilds the ledgers' databases from packs."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from idtone.core.errors import BackupError
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import Note, VerifierKey
from idtone.core.translation import Message
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger

from .archive import Identity, members
from .archive_folder import HEADER, Header
from .ledger_packs import LedgerEnd, LedgerGrower
from .make_backup import ENDS


@dataclass
class RestoredTree:
    """One of a ledger's trees, rebuilt from archives.

    `faults` lists the errors found in the tree.
    """

    role: str
    node: str
    tree: str
    key: VerifierKey
    file: Path
    """The new database."""
    name: str
    """The original name of the tree's file."""
    is_present: bool
    """True if the node was signing with this tree when the backup was made."""
    settings: LedgerSettings
    """The ledger's settings when the backup was made."""
    end: LedgerEnd
    faults: list[Message] = field(default_factory=list)

    @property
    def note(self) -> Note | None:
        return Note.parse(self.end.checkpoint.encode()) if self.end.checkpoint else None

    @property
    def leaves(self) -> int:
        return self.end.reached.leaves

    @property
    def newest(self) -> datetime | None:
        """Time when the tree's newest call ended."""
        return None if self.end.newest is None else datetime.fromtimestamp(self.end.newest / 1_000_000, UTC)

    def verify(self) -> None:
        """Verify the rebuilt ledger, and add any errors to `faults`.

        Raises LedgerError.
        """
        with LedgerReader.open(f"sqlite:///{self.file}") as reader:
            verdict = verify_ledger(reader, self.key, with_days=False, is_latest=False)
        self.faults += [fault for fault in verdict.faults if fault not in self.faults]


@dataclass(frozen=True)
class Unpacked:
    """The content of unpacked backup archives: files, their owners, and ledger trees.

    `header` comes from the newest archive. `folder` contains the files by role, and `owners` the users who own them.
    """

    header: Header
    folder: Path
    trees: list[RestoredTree]
    archives: list[Path]
    owners: dict[str, str]

    @property
    def newest(self) -> datetime | None:
        """Time when the newest call in the archives ended."""
        return max((each.newest for each in self.trees if each.newest), default=None)

    @property
    def faults(self) -> list[Message]:
        return [Message("{tree}: {fault}", tree=each.tree, fault=fault) for each in self.trees for fault in each.faults]


def unpack(archives: Sequence[Path], identities: Sequence[Identity], folder: Path) -> Unpacked:
    """Unpack a chain of archives, the full archive first, into an empty folder.

    Raises BackupError, LedgerError and OSError.
    """
    growers: dict[tuple[str, str], LedgerGrower] = {}
    header, ends = None, {}
    owners: dict[str, str] = {}
    (folder / "trees").mkdir(mode=0o700)
    files = folder / "files"
    with ExitStack() as open_files:
        for path in archives:
            is_last = path == archives[-1]
            header, grown = None, []
            for member in members(path, identities):
                if header is None:
                    header = Header.parse(member.octets() if member.name == HEADER else b"")
                    grown = [_grower(each, growers, folder, open_files) for each in header.ledgers]
                elif member.name.startswith("packs/"):
                    grown[_number(member.name, len(grown))].add(member.octets())
                elif member.name == ENDS:
                    ends = json.loads(member.octets())
                elif is_last:
                    target = _inside(files, member.name)
                    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    member.save(target)
                    owners[member.name] = member.owner
        if header is None:
            raise BackupError("this file is not an archive of idtone")
        trees = [_tree(each, growers, ends) for each in header.ledgers]
    for tree in trees:
        tree.verify()
    return Unpacked(header, files, trees, list(archives), owners)


def _grower(
    ledger: dict[str, Any], growers: dict[tuple[str, str], LedgerGrower], folder: Path, open_files: ExitStack
) -> LedgerGrower:
    place = (str(ledger["role"]), str(ledger["tree"]))
    if place not in growers:
        growers[place] = open_files.enter_context(LedgerGrower(folder / "trees" / str(len(growers))))
    return growers[place]


def _tree(ledger: dict[str, Any], growers: dict[tuple[str, str], LedgerGrower], ends: dict[str, Any]) -> RestoredTree:
    grower, end = growers[ledger["role"], ledger["tree"]], LedgerEnd.of(ends[ledger["tree"]])
    key = VerifierKey.parse(ledger["key"])
    return RestoredTree(
        ledger["role"],
        ledger["node"],
        ledger["tree"],
        key,
        grower.path,
        ledger["file"],
        ledger["present"],
        LedgerSettings.model_validate(ledger["settings"]),
        end,
        grower.finish(end),
    )


def _number(name: str, count: int) -> int:
    number = name.split("/")[1]
    if not number.isdecimal() or int(number) >= count:
        raise BackupError("this file is not an archive of idtone")
    return int(number)


def _inside(folder: Path, role: str) -> Path:
    """The path for a role in the folder. Raises BackupError if the role leads out of the folder."""
    parts = Path(role).parts
    if not parts or Path(role).is_absolute() or ".." in parts:
        raise BackupError("an archive names {role}, which leads out of its folder", role=role)
    return folder / role

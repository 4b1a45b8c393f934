"""The files that belong to a node's backup.

Each file or folder has a role, which is its name in an archive. The settings determine its path on a machine.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Final

from idtone.core.settings.settings import DEFAULT_FILE, LedgerSettings, Settings, load_settings, settings_folder
from idtone.ledger.keys.key_ring import successor_trees_of
from idtone.ledger.keys.successor_trees import SuccessorTrees
from idtone.ledger.store.sqlite import path_of

SETTINGS: Final = "settings/idtone.yaml"
FOLDER: Final = "settings/idtone.d"
OWN: Final = "ledger"
OFFICE: Final = "console/office/ledger"
KEYS: Final = ("sign", "token", "days", "days-held", "continued", "continued.next", "cosigned", "stamps")
"""Suffixes of the files next to a ledger's key. The last signed head is excluded, because a restored node must not
mistake it for the newest one."""
OF_EARLIER_TREES: Final = ("sign-*", "cosigned-*")
"""Patterns for other files next to the key: replaced keys, and cosigned heads of earlier trees."""
_BESIDE: Final = (".brake", ".brake-lines", ".settings", ".confirmations", ".suspensions", ".acts")
"""Suffixes of files next to a ledger that the service cannot recreate."""
KEPT: Final = (
    "registry.trust", "registry.source", "registry.cache", "fleet.settings", "fleet.key_file", "ari.password_file",
    "ledger.password_file", "ledger.token.pin_file", "ledger.legal_bases", "ledger.timestamp.root",
    "ledger.timestamp.password_file", "customers.directory", "customers.rules", "lines.source", "lines.password_file",
    "lines.cache", "sounds.profiles", "console.users", "console.openid.client_secret_file", "console.office",
)  # fmt: skip
"""Settings that may name files on this machine, which then belong to a backup."""


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """A ledger in a backup, either the node's or the office's.

    `role` is the name of the ledger's folder in an archive.
    """

    role: str
    node: str
    settings: LedgerSettings

    @property
    def database(self) -> Path:
        return path_of(self.settings.own_url())

    @property
    def successor_trees(self) -> SuccessorTrees:
        """The trees that continue the ledger's first tree.

        Raises LedgerError.
        """
        return successor_trees_of(self.settings, self.node)

    def trees(self) -> list[tuple[str, Path]]:
        """Names and files of the ledger's trees, the current tree last.

        Trees without a file are omitted. Raises LedgerError.
        """
        successor_trees = self.successor_trees
        files = [*(Path(each.file) for each in successor_trees.trees), self.database]
        present = zip(successor_trees.origins, files, strict=True)
        return [(origin, path) for origin, path in present if path.exists() and path.stat().st_size]

    def files(self) -> dict[str, Path]:
        """Paths of the ledger's keys and of the service's files next to the ledger, by role."""
        key, database = self.settings.key_file, self.database
        found = {f"{self.role}/ledger.key": key}
        earlier = [path for each in OF_EARLIER_TREES for path in key.parent.glob(f"{key.name}.{each}")]
        names = [*KEYS, *(path.name.removeprefix(f"{key.name}.") for path in earlier)]
        found |= {f"{self.role}/ledger.key.{name}": key.with_name(f"{key.name}.{name}") for name in names}
        return found | {f"{self.role}/ledger.sqlite3{end}": database.with_name(database.name + end) for end in _BESIDE}


def ledgers_of(settings: Settings) -> list[LedgerPlace]:
    """Ledgers in a node's backup: its own, and the ledger of the office named in the console's settings."""
    found = [LedgerPlace(OWN, settings.node, settings.ledger)]
    office = settings.console.office
    if office and (file := office / "ledger" / "idtone.yaml").exists():
        named = load_settings(file, {})
        found.append(LedgerPlace(OFFICE, named.node, named.ledger))
    return found


def existing_files(settings: Settings) -> dict[str, Path]:
    """Existing files and folders that the settings name, by role."""
    found = {}
    for key in KEPT:
        value = reduce(getattr, key.split("."), settings)
        if value is not None and (path := Path(str(value))).is_absolute() and path.exists():
            found[key.replace(".", "/")] = path
    return found


def paths_by_role(settings: Settings, config: Path | None) -> dict[str, Path]:
    """Paths of everything in a backup by role, except the ledgers' databases."""
    file = (config or DEFAULT_FILE).absolute()
    found = {SETTINGS: file, FOLDER: settings_folder(file)} | existing_files(settings)
    for ledger in ledgers_of(settings):
        found |= ledger.files()
    return found


def files_in(role: str, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the role and path of a file, or of each file in a folder.

    Databases' temporary files are omitted. So are ledgers and their keys, which have their own roles.
    """
    if not path.is_dir():
        if path.exists():
            yield role, path
        return
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            file = Path(folder) / name
            inner = f"{role}/{file.relative_to(path)}"
            if not _is_left_out(inner) and file.is_file() and not file.is_symlink():
                yield inner, file


def _is_left_out(role: str) -> bool:
    own = f"{OFFICE}/ledger."
    return role.endswith((".lock", "-journal", "-wal", "-shm")) or role.startswith(own) or "/." in role

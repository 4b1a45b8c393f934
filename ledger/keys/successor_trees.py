"""The successive trees of a single ledger.

A damaged database is set aside, and the ledger continues with a new tree. A second tree with the same name would look
like a fork of the signed tree, so the next tree is called NODE/idtone.2. A file next to the key records the name, and
the new tree's first leaf names the tree that it continues.

A restored node also begins a new tree, because the old tree may have grown after the backup. A backup may be restored
twice, so this tree's name contains the time and a random number: NODE/idtone.202611010000001234.
"""

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from idtone.core.errors import LedgerError, ProofError
from idtone.core.files import sync_folder
from idtone.core.signed_notes import Note, VerifierKey

from ..evidence.steps import Scalar
from ..tree.checkpoints import Checkpoint
from ..tree.merkle import Frontier
from .private_files import PRIVATE_FILE, replace_private

_COMPANIONS: Final = ("-journal", "-wal", "-shm")
"""Endings of the files that SQLite keeps next to a database."""
DAMAGED: Final = "damaged"
RESTORED: Final = "restored"
ENDED: Final = "ended"
_COUNTED: Final = 9
"""Maximum number of digits in a number that counts trees. A restored node's tree has a longer number."""


@dataclass(frozen=True, slots=True)
class SuccessorTree:
    """A tree that continues an earlier tree of the same ledger.

    `base` is the name of the ledger's first tree. `checkpoint` is the previous tree's last signed checkpoint, and is
    empty if nothing was signed. `ledger` is the database's path. `file` is the path to which the previous database was
    moved when it was set aside.
    """

    base: str
    origin: str
    after: str
    checkpoint: str
    ledger: str
    file: str
    begun: bool = False
    """True if the new database exists."""
    key: str = ""
    """This tree's verifier key if the key was replaced; empty if the tree uses the previous tree's key."""
    key_at: str = ""
    """Where that key is kept, as in `log_keys`."""
    told: dict[str, Scalar] = field(default_factory=dict)
    """Additional details for the first leaf, about a replaced key."""
    unsigned: str = ""
    """Text of the previous tree's last checkpoint while that tree's end is unsigned; otherwise empty."""
    given_up: str = ""
    """Id of the act that gave up that end; empty while the end awaits its signature."""

    @property
    def ended(self) -> tuple[str, int, bytes]:
        """Name, number of leaves and root of the previous tree."""
        if self.unsigned:
            whole = Checkpoint.parse(self.unsigned)
            return whole.origin, whole.size, whole.root
        if not self.checkpoint:
            return self.after, 0, Frontier().root()
        last = Checkpoint.parse(Note.parse(self.checkpoint.encode()).text)
        return last.origin, last.size, last.root


class NextKey(NamedTuple):
    """The key for the next tree.

    The name in `public` does not matter. `told` contains details about the replacement, for the next tree's first leaf.
    """

    public: VerifierKey
    place: str
    told: Mapping[str, Scalar]


class SuccessorTrees:
    """The file that lists the trees that followed a ledger's first tree.

    `base` is the name of the first tree. Raises LedgerError if the file cannot be read.
    """

    def __init__(self, path: Path, base: str) -> None:
        """Read the file. Raises LedgerError if it cannot be read."""
        self._path = path
        self._base = base
        self._changing = threading.Lock()
        self.ending = threading.Lock()
        """Lock to hold while an end is signed or given up, which ensures that no end is both."""
        self._all = self._read()

    @property
    def trees(self) -> list[SuccessorTree]:
        """Trees after the first, newest last."""
        return [each for each in self._all if each.base == self._base]

    @property
    def origins(self) -> list[str]:
        return [self._base, *(each.origin for each in self.trees)]

    @property
    def origin(self) -> str:
        return self.origins[-1]

    def tree_without_database(self, ledger: Path) -> SuccessorTree | None:
        """The tree whose database does not exist yet; None if every tree has one."""
        return next((each for each in self.trees if not each.begun and each.ledger == str(ledger.absolute())), None)

    @property
    def unsigned(self) -> list[SuccessorTree]:
        """Trees whose predecessor's end still awaits its signature."""
        return [each for each in self.without_end if not each.given_up]

    @property
    def without_end(self) -> list[SuccessorTree]:
        """Trees whose predecessor's end is unsigned, even if that end was given up."""
        return [each for each in self.trees if each.begun and each.unsigned]

    def database_of(self, tree: SuccessorTree, present: Path) -> Path:
        """Current path of a tree's database.

        `present` is the path of the newest tree's database.
        """
        return next((Path(each.file) for each in self.trees if each.after == tree.origin), present)

    def add(
        self,
        checkpoint: Note | None,
        ledger: Path,
        file: Path,
        is_restored: bool = False,
        key: NextKey | None = None,
        unsigned: str = "",
    ) -> None:
        """Add the next tree to the file, durably.

        `checkpoint` is the last signed checkpoint, `ledger` is the database, and `file` is the path to which the
        previous database is moved. Raises OSError.
        """
        after, following = self.origin, self.next_origin(is_restored)
        text = str(checkpoint) if checkpoint else ""
        added = SuccessorTree(self._base, following, after, text, str(ledger.absolute()), str(file), unsigned=unsigned)
        if key:
            added = replace(added, key=str(replace(key.public, name=following)), key_at=key.place, told=dict(key.told))
        with self._changing:
            self._write([*self._all, added])

    def record_next_key(self, key: NextKey) -> None:
        """Record the next tree's key before the end of the current tree names it.

        Raises OSError.
        """
        kept = {"public": str(key.public), "place": key.place, "told": dict(key.told)}
        replace_private(self._intended(), json.dumps(kept).encode())

    def next_key(self, public: str) -> NextKey | None:
        """The next tree's recorded key if its verifier key is `public`; otherwise None."""
        try:
            kept = json.loads(self._intended().read_text("utf-8"))
            key = NextKey(VerifierKey.parse(kept["public"]), str(kept["place"]), dict(kept["told"]))
        except (OSError, ValueError, LookupError, TypeError, ProofError):
            return None
        return key if str(key.public) == public else None

    def _intended(self) -> Path:
        return self._path.with_name(f"{self._path.name}.next")

    def next_origin(self, is_restored: bool = False) -> str:
        """Name for the tree that follows the current tree."""
        is_alone = not is_restored and all(len(each.origin) <= len(self._base) + 1 + _COUNTED for each in self.trees)
        number = str(len(self.origins) + 1) if is_alone else _unique(datetime.now(UTC))
        return f"{self._base}.{number}"

    def record_start(self, begun: SuccessorTree) -> None:
        """Record that a tree's database exists.

        The key recorded by `record_next_key` is removed, along with its person and reason. Raises OSError.
        """
        if begun.key:
            self._intended().unlink(missing_ok=True)
        self._replace(begun, replace(begun, begun=True))

    def record_signed_end(self, following: SuccessorTree, end: Note) -> None:
        """Record that the previous tree's end is now signed.

        Raises OSError.
        """
        self._replace(following, replace(following, checkpoint=str(end), unsigned=""))

    def record_unsigned_end(self, following: SuccessorTree, end: Checkpoint) -> None:
        """Record that the previous tree ends with `end`, unsigned.

        Raises OSError.
        """
        self._replace(following, replace(following, unsigned=end.text))

    def give_up(self, following: SuccessorTree, act: str) -> None:
        """Record that the previous tree's end no longer awaits a signature.

        An empty `act` makes the end await a signature again. Raises OSError.
        """
        self._replace(following, replace(following, given_up=act))

    def _replace(self, before: SuccessorTree, now: SuccessorTree) -> None:
        with self._changing:
            self._write([now if each == before else each for each in self._all])

    def reload(self) -> None:
        """Read the file again, because another process may have added a tree.

        Raises LedgerError.
        """
        self._all = self._read()

    def _read(self) -> list[SuccessorTree]:
        try:
            return [SuccessorTree(**each) for each in json.loads(self._path.read_text("utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            what = error.strerror if isinstance(error, OSError) else "it is not what idtone wrote"
            raise LedgerError(
                "{path}: cannot be read: {what}; restore it from a backup", path=self._path, what=what
            ) from error

    def _write(self, trees: list[SuccessorTree]) -> None:
        replace_private(self._path, json.dumps([asdict(each) for each in trees], indent=1).encode())
        self._all = trees


def _unique(now: datetime) -> str:
    return f"{now:%Y%m%d%H%M%S}{secrets.randbelow(10**4):04}"


def name_aside(path: Path, now: datetime, why: str = DAMAGED) -> Path:
    """An unused path for a database that is set aside at `now`."""
    dated = path.absolute().with_name(f"{path.name}.{why}-{now:%Y%m%dT%H%M%SZ}")
    number = 1
    while any(_beside(dated, suffix).exists() for suffix in ("", *_COMPANIONS)):
        number += 1
        dated = dated.with_name(f"{path.name}.{why}-{now:%Y%m%dT%H%M%SZ}-{number}")
    return dated


def move_aside(path: Path, aside: Path) -> None:
    """Move a database and its journal files to `aside`. Also finishes an interrupted move.

    Raises OSError.
    """
    if not aside.exists() and path.exists():
        path.chmod(PRIVATE_FILE)
        path.rename(aside)
    for suffix in _COMPANIONS:
        journal = _beside(path, suffix)
        # A journal with a database beside it belongs to the new database.
        if journal.exists() and not path.exists() and not _beside(aside, suffix).exists():
            journal.rename(_beside(aside, suffix))
    sync_folder(path.parent)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)

"""The office's ledger. Each act of the office and its desk is a leaf in a signed tree.

The ledger has the same format as a member's ledger: `idtone ledger verify -c FOLDER/ledger/idtone.yaml` verifies it,
and witnesses can cosign it. Commands may run while the desk is running; the desk then writes their acts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import yaml

from idtone.core.errors import LedgerError
from idtone.core.files import replace_durably
from idtone.core.persons import acting_person
from idtone.core.settings.settings import LedgerSettings, load_settings
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.act_ids import new_act_id
from idtone.ledger.evidence.steps import Scalar, Step, StepKind
from idtone.ledger.keys.key_ring import KeyRing, successor_trees_of
from idtone.ledger.keys.private_files import PRIVATE_FILE
from idtone.ledger.store import sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter

from ..authority.folder_lock import lock_folder

FOLDER: Final = "ledger"
NODE: Final = "authority"
LOCK: Final = ".lock"
TURN_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class OfficeAct:
    """An act of the office. `subject` is its subject's id, and `details` depend on the kind of act."""

    id: str
    at: datetime
    by: str
    act: str
    subject: str
    details: Mapping[str, Scalar]

    @classmethod
    def of(cls, step: Step) -> OfficeAct:
        own = {name: value for name, value in step.details.items() if name not in _COMMON}
        details = step.details
        return cls(step.call_id, step.at, str(details["by"]), str(details["act"]), str(details["subject"]), own)


_COMMON: Final = ("act", "subject", "by", "by_uid", "by_way")


class OfficeLedger:
    """The ledger in an authority's folder. The first act creates it along with its keys and settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._writer: LedgerWriter | None = None

    @property
    def settings_file(self) -> Path:
        """Settings file for `idtone ledger … -c`. The office may name witnesses in it."""
        return self._folder / "idtone.yaml"

    def record(self, act: str, subject: str, **details: Scalar) -> str:
        """Record an act by the person running this command and return the act's id.

        The act is stored durably before the method returns. If LedgerError is raised, the caller must not perform the
        act.
        """
        act_id = new_act_id()
        self.record_as(act_id, act, subject, **details)
        return act_id

    def record_as(self, act_id: str, act: str, subject: str, **details: Scalar) -> None:
        """Record an act under an id from `new_act_id`.

        If LedgerError is raised, the caller must not perform the act.
        """
        step = steps.duty(act_id, datetime.now(UTC), acting_person(), act, subject, details)
        with self.locked():
            if self._writer:
                future = self._writer.append(step)
                self._writer.hurry()
                future.result()
                return
            settings = self._settings()
            record_act(settings.url, NODE, KeyRing.of(settings, NODE), lambda _: step, DisclosureRules())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the ledger's lock in a `with` block so that no other process can record an act. Raises LedgerError."""
        with ExitStack() as stack:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                stack.enter_context(lock_folder(self._folder / LOCK, TURN_WITHIN_S))
            except TimeoutError as error:
                raise LedgerError(
                    "{folder}: the acts before this one take too long; try again", folder=self._folder
                ) from error
            except OSError as error:
                raise LedgerError(
                    "{folder}: cannot be written: {reason}", folder=self._folder, reason=error.strerror
                ) from error
            yield

    @contextmanager
    def open(self) -> Iterator[tuple[str, LedgerWriter]]:
        """Open the ledger for a process that records many acts. The `with` block receives the URL and the writer.

        Raises LedgerError.
        """
        with ExitStack() as stack:
            with self.locked():  # a command may be writing an act now
                settings = self._settings()
                writer = stack.enter_context(LedgerWriter.open(settings.url, NODE, KeyRing.of(settings, NODE)))
            self._writer = writer
            try:
                yield settings.url, writer
            finally:
                self._writer = None

    def knows(self, act_id: str) -> bool:
        """True if the ledger contains the act. Raises LedgerError."""
        for url in self._urls():
            with LedgerReader.open(url) as reader:
                if reader.knows(act_id):
                    return True
        return False

    def acts(self) -> list[OfficeAct]:
        """Read all acts in the order they were recorded, including those in earlier ledgers. Raises LedgerError."""
        found: list[OfficeAct] = []
        for url in self._urls():
            with LedgerReader.open(url) as reader:
                found += map(OfficeAct.of, reader.acts(frozenset({StepKind.DUTY})))
        return found

    def _urls(self) -> list[str]:
        """URLs of the existing ledgers in order, ending with the current one.

        The office's folder may have been copied elsewhere, so earlier ledgers are looked up by name next to the current
        one.
        """
        if not self.settings_file.exists():
            return []
        settings = self._settings()
        present = sqlite.path_of(settings.url)
        earlier = (present.with_name(Path(each.file).name) for each in successor_trees_of(settings, NODE).trees)
        return [f"sqlite:///{path}" for path in (*earlier, present) if path.exists()]

    def _settings(self) -> LedgerSettings:
        if not self.settings_file.exists():
            here = self._folder.resolve()
            self._folder.mkdir(mode=0o700, exist_ok=True)
            content = {
                "node": NODE,
                "ledger": {
                    "url": f"sqlite:///{here / 'ledger.sqlite3'}",
                    "key_file": f"{here / 'ledger.key'}",
                    "reserve": 0,
                },
            }
            replace_durably(self.settings_file, yaml.safe_dump(content, sort_keys=False).encode(), PRIVATE_FILE)
        return load_settings(self.settings_file, {}).ledger

"""The folders of one year for the office, its keys, two members and the public site, and the commands in them."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from idtone.core.japan_time import JAPAN
from idtone.core.settings.settings import PASSPHRASE, Settings, load_settings
from idtone.core.translation import is_japanese
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.repository import ROOT
from lab.terminal import Terminal

from ..desk.desk_process import running_desk

WHOLESALER, RESELLER = "m-0101", "m-0102"
NAMES = {WHOLESALER: "見本電話 / Sample Telecom", RESELLER: "港見本電話 / Harbour Sample Telecom"}
NODE = "pbx-1"
T = TypeVar("T")
CONFIG: Final = ROOT / "config"

REPORTED = "0362345678"
"""A number that the wholesaler resells. Someone reports a call about it."""

STOPPED, STOPPED_RANGE, OTHER = "0362345701", "0362345710-0362345719", "0362345703"
"""The number and the range that the police suspend, and a number that they do not suspend."""


class StepFailed(Exception):
    """A command ended with an unexpected exit code, or listed an unexpected number of items."""


def only(listed: Iterable[T]) -> T:
    """The only item of a list. Raises StepFailed."""
    found = list(listed)
    if len(found) != 1:
        raise StepFailed(f"one should be listed, not {len(found)}: {found}")
    return found[0]


def localise(english: str, japanese: str) -> str:
    """The text in the terminal's language."""
    return japanese if is_japanese() else english


class OfficeYear(Terminal):
    """A year in a folder, used as a context that stops at its end everything that it started.

    Removes an earlier year from the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = ""
        """Address of the desk, once it is running."""
        self._started = contextlib.ExitStack()
        shutil.rmtree(folder, ignore_errors=True)
        for each in (self.pictures, self.keys):
            each.mkdir(parents=True)

    def __enter__(self) -> Self:
        self._started.enter_context(passphrase())
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def start_desk(self, *options: object) -> None:
        """Start the desk as a separate process with a log file."""
        log = self._started.enter_context((self.folder / "desk.log").open("wb"))
        self.desk = self._started.enter_context(running_desk(self.office, *options, log=log))

    @property
    def office(self) -> Path:
        return self.folder / "office"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def root(self) -> Path:
        """Root file that the association handed to the members in person."""
        return self.folder / "root.json"

    def output(self, *words: object, typed: str = "", code: int = 0) -> Any:
        """Run a command and return its standard output. Raises StepFailed if it ends with another exit code."""
        ended, out, error = self.run(*words, typed=typed)
        if ended != code:
            named = " ".join(map(str, words[:2]))
            raise StepFailed(f"idtone {named} …: exit {ended}, not {code}: {' '.join(error.split())}")
        return out

    def authority(self, command: str, *arguments: object, typed: str = "", code: int = 0) -> str:
        """Run a command of the office on its folder and return its output."""
        return self.output(command, "--folder", self.office, *arguments, typed=typed, code=code)

    def publish(self, *sets: str, why: str | None = None) -> Any:
        """Publish with the signatures of two keys of each set, and write the public list."""
        numbers = {"registry": (1, 3), "duty": (1, 2)}
        given = [word for name in sets for number in numbers[name] for word in ("--key", self.key(name, number))]
        reason = ("--why", why) if why else ()
        return self.json("publication", "publish", "--folder", self.office, *given, "--site", self.site, *reason)

    def key(self, of_set: str, number: int) -> Path:
        return self.keys / f"{of_set}-{number}.pem"

    def settings_file(self, member: str) -> Path:
        return self.folder / member / "idtone.yaml"

    def settings(self, member: str) -> Settings:
        return load_settings(self.settings_file(member), {})

    def member(self, member: str, *arguments: object, typed: str = "", code: int = 0) -> Any:
        """Run a command on a member's node and return its output."""
        return self.output(*arguments, "-c", self.settings_file(member), typed=typed, code=code)

    def member_json(self, member: str, *arguments: object, typed: str = "", code: int = 0) -> Any:
        return self.member(member, *arguments, "--json", typed=typed, code=code)

    @contextlib.contextmanager
    def ledger(self, member: str) -> Iterator[LedgerWriter]:
        """Context with the node's ledger, open for writing."""
        settings = self.settings(member)
        with LedgerWriter.open(settings.ledger.own_url(), NODE, KeyRing.of(settings.ledger, NODE)) as writer:
            yield writer


@contextlib.contextmanager
def passphrase() -> Iterator[str]:
    """Context with a random passphrase in the environment variable that the commands read. Yields the passphrase."""
    before = os.environ.get(PASSPHRASE)
    os.environ[PASSPHRASE] = made = secrets.token_urlsafe(24)
    try:
        yield made
    finally:
        if before is None:
            del os.environ[PASSPHRASE]
        else:
            os.environ[PASSPHRASE] = before


def now() -> datetime:
    return datetime.now(UTC)


def days(number: int = 0) -> str:
    """Date in Japan, `number` days from today."""
    return (now().astimezone(JAPAN) + timedelta(days=number)).date().isoformat()

"""The office on the command line: a folder, the keys beside it, and people who type."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idtone.core.persons import AccountKnownBy, Person
from idtone.core.signing_keys import load_public
from idtone.office.commands.office_folder import VARIABLE
from lab.cached_folders import fill_from_cache
from lab.registry.examples import GOOD
from lab.registry.trust.association import SUSPENSIONS
from lab.terminal import Terminal

PHRASE = "of the test"
WHY = ("--why", "as asked")
STOP = ("--reference", "R-7", "--requested", "2026-11-02T01:10:00+09:00", *WHY)
TWICE = "0312345677\n0312345677\n"
"""A number as entered by two people."""
APPLICATION = """\
application:
  id: A-1
  received: 2026-11-20
  member: {id: m-0008, name: {ja: 八番電話株式会社, en: Eighth Telecom}}
  identity:
    - {document: 登記事項証明書, checked: 2026-11-19, by: Suzuki}
  pledge: {signed: 2026-11-18, document: "2", until: 2027-11-18}   # 誓約
  licences:
    - {tone: sample, directions: [incoming, outgoing]}
  numbers: ["0362345678", "+81362345700-+81362345799"]
"""
READING = {"check", "decide", "diff", "show", "update"}
"""Commands of `idtone registry`. All others here belong to `idtone-office`."""


@dataclass
class Office(Terminal):
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def registry(self) -> Path:
        return self.folder / "registry.yaml"

    @property
    def suspensions(self) -> Path:
        return self.folder / "suspensions.yaml"

    def act_as(self, name: str, uid: int) -> str:
        """Run the following commands as another account, and return its name in the history."""
        person = Person(uid, name, AccountKnownBy.LOGIN)
        self.monkeypatch.setattr("idtone.office.commands.options.acting_person", lambda: person)
        return str(person)

    def run(self, *words: object, typed: str = "") -> tuple[int, Any, str]:
        """Run a command on the office's folder, and return its exit code, output and error.

        The environment variable `VARIABLE` names the folder.
        """
        with self.monkeypatch.context() as here:
            here.setenv(VARIABLE, str(self.folder))
            return super().run(*("registry" for _ in words[:1] if words[0] in READING), *words, typed=typed)

    def refused(self, command: str, *arguments: object, typed: str = "") -> str:
        """Run a command that must be refused, and return its error. Asserts that no file in the folder has changed."""
        before = self.state()
        error = self.error(command, *arguments, typed=typed)
        assert self.state() == before
        return error

    def state(self) -> dict[str, bytes]:
        """Path → content of each file in the folder, except lock files."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    @property
    def root(self) -> Path:
        """Root file that members and key holders keep."""
        return self.folder / "repository" / "metadata" / "1.root.json"

    def new_keys(self, *names: str) -> list[str]:
        """Create keys as their holders do, and return their options for `key rotate` and `publication begin`."""
        self.key("any").parent.mkdir(exist_ok=True)
        made = {name: self.run("key new", self.key(name), "--json")[1]["public"] for name in names}
        return [word for name in names for word in ("--public", f"{name.partition('-')[0]}={made[name]}")]

    def key(self, name: str) -> Path:
        return self.folder.with_name("keys") / f"{name}.pem"

    def key_id(self, name: str) -> str:
        return load_public(self.key(name).with_suffix(".pub")).keyid

    def keys(self, *names: str) -> list[object]:
        return [word for name in names for word in ("--key", self.key(name))]

    def duty(self) -> list[object]:
        return self.keys("duty-1", "duty-2")

    def all_keys(self) -> list[object]:
        return self.keys("registry-1", "registry-3", "duty-1", "duty-2")


@pytest.fixture
def new_office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office with only the first files."""
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    office = Office(tmp_path / "authority", monkeypatch)
    office.folder.mkdir()
    office.registry.write_text(GOOD.partition("suspensions:")[0])
    office.suspensions.write_text(SUSPENSIONS)
    return office


@pytest.fixture
def office(new_office: Office, tmp_path_factory: pytest.TempPathFactory) -> Office:
    fill_from_cache(
        tmp_path_factory,
        "office",
        new_office.folder.parent,
        lambda: new_office.json("publication begin", "--keys", new_office.key("any").parent),
    )
    return new_office

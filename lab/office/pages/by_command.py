"""The same year with commands instead of pages.

For each task, people type commands and write files as the manual describes.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from idtone.office.papers.period_account import fiscal_year_days
from lab.terminal import Terminal

from ..applicant import hand_in
from ..year.office_year import passphrase
from .found_office import found_office
from .persons_and_days import (
    APPLICANT,
    APPLICANT_ID,
    RESELLER,
    SCAN,
    SHEET,
    STOPPED,
    WHOLESALER,
    iso_day,
    iso_minute,
    tone_master,
    witness_key,
)

_CHAIN: Final = "0362345600-0362345609\n"
_REFUSED: Final = """\
customer:
  kind: company
  name: 見本商事株式会社
  corporate_number: "8000000000001"
  address: 東京都見本区見本町1-2-3
"""


@dataclass(frozen=True)
class CommandEffort:
    """The effort of one task: commands, files written by hand, and seconds of the commands."""

    commands: int
    files: int
    seconds: float


class CommandOffice(Terminal):
    """The same office as on the pages, operated with commands from its first day on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands, self.files = 0, 0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @property
    def office(self) -> Path:
        return self.folder / "office"

    def key(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.pem"

    def does(self, command: str, *words: object, typed: str = "") -> Any:
        """Run a command on the office's folder and return its JSON output."""
        self.commands += 1
        return self.json(command, "--folder", self.office, *words, typed=typed)

    def prints(self, command: str, *words: object) -> None:
        """Run a command on the office's folder that has no JSON output."""
        self.commands += 1
        self.output(command, "--folder", self.office, *words)

    def writes(self, name: str, text: str) -> Path:
        """Write a file by hand."""
        self.files += 1
        return self.has(name, text.encode())

    def has(self, name: str, octets: bytes) -> Path:
        """A file that a person already has: a scan, a recording or an Excel table. This does not count as effort."""
        path = self.folder / "desk" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(octets)
        return path

    def sha256(self, path: Path) -> str:
        """Digest that a person reads from `sha256sum`, which counts as a command."""
        self.commands += 1
        return hashlib.sha256(path.read_bytes()).hexdigest()


def play_by_command(folder: Path) -> Mapping[str, CommandEffort]:
    """Do all tasks in order, and return the effort of each by name. Raises AssertionError if a command fails."""
    played = {}
    office = CommandOffice(folder)
    with passphrase():
        found_office(office, office.office, office.folder / "keys")
        for name, act in BY_COMMAND.items():
            commands, files, began_s = office.commands, office.files, time.monotonic()
            act(office)
            took_s = round(time.monotonic() - began_s, 1)
            played[name] = CommandEffort(office.commands - commands, office.files - files, took_s)
    return played


def _application(office: CommandOffice, number: int, member: str, names: str, numbers: str) -> None:
    sha256 = office.sha256(office.has("pledge.pdf", SCAN + member.encode()))
    text = f"""\
application:
  id: {_id(number)}
  received: {iso_day()}
  member: {{id: {member}, name: {{{names}}}}}
  identity:
    - {{document: 登記事項証明書, checked: {iso_day(-1)}, by: Suzuki}}
  pledge: {{signed: {iso_day(-2)}, document: "2", sha256: {sha256}, signatory: 代表取締役, until: {iso_day(365)}}}
  licences:
    - {{tone: standard-2026, directions: [incoming, outgoing]}}
  numbers: ["{numbers}"]
"""
    office.does("application accept", office.writes(f"application-{number}.yaml", text))


def _id(number: int) -> str:
    return f"A-{iso_day()[:4]}-{number:04}"


def _review(office: CommandOffice, number: int, result: str, why: str) -> None:
    office.does("application review", _id(number), "--result", result, "--why", why)


def _grant(office: CommandOffice, number: int) -> None:
    office.does("application grant", _id(number), "--until", iso_day(365))


def _tone(office: CommandOffice) -> None:
    wav = office.has("standard.wav", tone_master())
    office.does("sound add", "standard-2026", wav, "--title", "協会標準識別音", "--why", "decided")


def _again(office: CommandOffice) -> None:
    _review(office, 2, "passed", "the certificate has come")
    _grant(office, 2)


def _hand_in(office: CommandOffice) -> None:
    """Store an applicant's submission as the public form does. An applicant has a browser, but no commands."""
    fields = {
        "name_ja": APPLICANT[0], "name_en": APPLICANT[1], "person": "総務部 見本", "contact": "info@example.jp",
        "signed": iso_day(-2), "signatory": "代表取締役", "document": "2", "tone": "standard-2026", "incoming": "yes",
        "numbers": "0332345600〜0332345609",
    }  # fmt: skip
    hand_in(office.office, fields, SCAN + b"applicant")


def _take(office: CommandOffice) -> None:
    (submission,) = office.does("application handed-in")
    office.does(
        "application take", submission["id"], "--member", APPLICANT_ID, "--document", "登記事項証明書",
        "--checked", iso_day(-1), "--by", "Suzuki", "--pledge-until", iso_day(364),
    )  # fmt: skip


def _criteria(office: CommandOffice) -> None:
    address = ("--list", "https://association.test/operators/")
    office.does("evaluation enter-criteria", *address, "--witness", witness_key(), "--why", "decided")


def _observe(office: CommandOffice) -> None:
    for kind in ("contact", "form"):
        office.does("evaluation observe", kind, WHOLESALER, "--day", iso_day(-1), "--result", "good")
    points = ("--day", iso_day(-1), "--what", "外部評価者 甲", "--points", "9")
    office.does("evaluation observe", "assessor", WHOLESALER, *points)


def _numbers(office: CommandOffice) -> None:
    table = office.has("numbers.csv", SHEET.encode("cp932"))
    office.does("number assign", WHOLESALER, "--numbers", table, "--why", "as ordered")


def _certified(number: int) -> tuple[str, ...]:
    return (
        "--number", f"N-{number}", "--document", f"認定通知書 2026-{number}", "--until", iso_day(700),
        "--next-check", iso_day(300), "--why", "seen",
    )  # fmt: skip


def _describe(office: CommandOffice) -> None:
    office.does(
        "member describe", WHOLESALER, "--corporate-number", "8700110005901", "--notification", "A-30-12345",
        "--web", "https://www.example.jp/contact", "--mail", "info@example.jp", "--why", "as they wrote",
    )  # fmt: skip


def _agree(office: CommandOffice) -> None:
    words = ("--version", "2026", "--since", iso_day(), "--document", "参加届")
    office.prints("member agree", WHOLESALER, "suspension-scheme", *words)


def _chain(office: CommandOffice) -> None:
    checked = ("--checked", iso_day(-1), "--document", "卸先確認書", "--why", "as reported")
    office.does("chain add", WHOLESALER, RESELLER, *checked, typed=_CHAIN)


def _undo(office: CommandOffice) -> None:
    office.does("licence suspend", "L-0001", "--why", "the wrong member")
    office.does("publication undo", "--why", "the wrong member")


def _publish(office: CommandOffice, *keys: str) -> None:
    """Publish with key holders who do not meet."""
    package = office.folder / f"package-{office.commands}"
    office.does("publication prepare", "--package", package)
    root = office.office / "repository/metadata/1.root.json"
    for key in keys:
        office.commands += 1
        office.json("publication sign", package, "--key", office.key(key), "--trust", root, "--yes")
    office.does("publication publish", "--package", package)


def _paper(office: CommandOffice, command: str, *words: str) -> None:
    pdf = office.folder / f"paper-{office.commands}.pdf"
    office.prints(command, WHOLESALER, *words, "--person", "事務局長 見本", "-o", pdf)


def _report(office: CommandOffice) -> None:
    typed = "0362345678\n銀行員を名乗る男\n\n\n"
    office.does("report take", "--by", "telephone", "--date", iso_day(-1), "--time", "10:15", typed=typed)


def _close_report(office: CommandOffice) -> None:
    (report,) = office.does("report list")
    office.prints("report close", report["id"], "--result", "open", "--why", "the member has no such call")


def _refuse(office: CommandOffice) -> None:
    file = office.writes("refused.yaml", _REFUSED)
    office.does(
        "refusal add", file, "--key", office.key("refusals"), "--reference", "K-7", "--until", iso_day(365),
        "--why", "numbers were stopped",
    )  # fmt: skip


def _stop(office: CommandOffice) -> None:
    asked = ("--reference", "R-1", "--requested", f"{iso_minute(-5)}+09:00")
    office.does("suspension number", *asked, typed=f"{STOPPED}\n{STOPPED}\n")


def _publish_stop(office: CommandOffice) -> None:
    office.does("publication publish", "--key", office.key("duty-1"), "--key", office.key("duty-2"))


def _lift(office: CommandOffice) -> None:
    office.does("suspension lift", "--why", "the police ask for it", typed=f"{STOPPED}\n{STOPPED}\n")


def _account(office: CommandOffice) -> None:
    today = iso_day()
    year = int(today[:4]) - (today[5:7] < "04")
    assert fiscal_year_days(year)[0].isoformat() <= today
    office.prints("paper account", "--year", year, "-o", office.folder / "account")


def _list(office: CommandOffice) -> None:
    keys = ("--key", office.key("duty-1"), "--key", office.key("duty-2"))
    office.does("publication publish", *keys, "--site", office.folder / "site")


BY_COMMAND: Final[Mapping[str, Callable[[CommandOffice], None]]] = {
    "tone": _tone,
    "application": lambda office: _application(
        office, 1, WHOLESALER, "ja: 見本電話株式会社, en: Sample Telecom", "0362345600-0362345699"
    ),
    "passed": lambda office: _review(office, 1, "passed", "documents agree"),
    "grant": lambda office: _grant(office, 1),
    "second": lambda office: _application(
        office, 2, RESELLER, "ja: 港見本電話株式会社, en: Harbour Sample Telecom", "0462345600-0462345699"
    ),
    "refused": lambda office: _review(office, 2, "refused", "a certificate is missing"),
    "again": _again,
    "numbers": _numbers,
    "certify": lambda office: office.does("member certify", WHOLESALER, *_certified(7)),
    "describe": _describe,
    "agree": _agree,
    "chain": _chain,
    "certify-reseller": lambda office: office.does("chain certify", RESELLER, *_certified(9), typed=_CHAIN),
    "undo": _undo,
    "publish": lambda office: _publish(office, "registry-1", "registry-3", "duty-1", "duty-2"),
    "hand-in": _hand_in,
    "take": _take,
    "certificate": lambda office: _paper(office, "paper certificate", "L-0001", "--number", "2026-1"),
    "report": _report,
    "close-report": _close_report,
    "refuse": _refuse,
    "stop": _stop,
    "publish-stop": _publish_stop,
    "notify": lambda office: _paper(office, "paper letter", "--about", "stopped", "--number", "2026-2"),
    "lift": _lift,
    "renew": lambda office: office.does("licence renew", "L-0001", "--until", iso_day(730), "--why", "as applied for"),
    "prolong": lambda office: office.does("publication prolong", "--until", iso_day(720), "--why", "a year more"),
    "publish-again": lambda office: _publish(office, "registry-2", "registry-3", "duty-3", "duty-4"),
    "criteria": _criteria,
    "observe": _observe,
    "account": _account,
    "list": _list,
}
"""Name of the task → its commands."""

"""Times of the office's commands with a large registry, each in a separate process, as the office runs it.

Each is compared with a process that only parses registry.yaml. The ratios are of processor time, because other work may
run on this machine.

Reports are measured by `bench.reports`, refused contractors by `bench.refusal_check`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml

from idtone.core.settings.settings import PASSPHRASE
from idtone.core.signed_notes import Signer
from idtone.core.terminal import command_line
from idtone.office.authority.history import Action, HistoryEntry, ReviewResult
from idtone.office.training.course import answer_sheet, course_of
from lab.asterisk import IDTONE
from lab.idtone_programs import program_of
from lab.office import applicant

from .bench_output import Found
from .large_registry import first_number, registry_text, suspend_ranges

MEMBERS: Final = 300
CHAINS: Final = 1_000
STOPS: Final = 1_000
APPLICATIONS: Final = 300
ENTRIES: Final = 5_000
"""Number of lines of the history."""
BASELINE_EVERY: Final = 8
"""Number of commands between two measurements of the baseline."""
WHY: Final = ("--why", "bench")
POLICE: Final = ("--reference", "P-1", "--requested", "2026-11-02T01:10:00+09:00")
APPLICATION: Final = """\
application:
  id: A-%s
  received: 2026-11-20
  member: {id: m-9%s, name: {ja: 新電話株式会社, en: New Telecom}}
  identity: [{document: 登記事項証明書, checked: 2026-11-19, by: Suzuki}]
  pledge: {signed: 2026-11-18, document: "2", until: 2036-11-18}
  licences: [{tone: sample, directions: [incoming, outgoing]}]
  numbers: ["0501%07d"]
"""
PARSE: Final = """\
import pathlib, sys
from idtone.core.yaml_documents import read_text, read_tree
read_tree(read_text(pathlib.Path(sys.argv[1])), "")
"""


@dataclass(frozen=True)
class Office:
    """The authority's folder in the bench, with the files that its commands read and write."""

    folder: Path
    numbers: int
    members: int

    @property
    def registry(self) -> Path:
        return self.folder / "registry.yaml"

    def beside(self, name: str) -> Path:
        return self.folder.with_name(name)

    def keep_root(self) -> None:
        """Store the root of the publication, as members and key holders do after `init`."""
        self.beside("root.json").write_bytes((self.folder / "repository" / "metadata" / "1.root.json").read_bytes())

    def key(self, *names: str) -> list[str]:
        return [word for name in names for word in ("--key", str(self.beside("keys") / f"{name}.pem"))]

    def number(self, member: int, place: int) -> str:
        """A number of a member, at `place` from the member's first number."""
        area, first = first_number(member, self.numbers // self.members)
        return f"{area}{first + place}"

    def range(self, member: int, place: int, count: int) -> str:
        return f"{self.number(member, place)}-{self.number(member, place + count - 1)}"


def prepare(office: Office, chains: int, stops: int) -> None:
    """Write a registry with wholesale chains and suspended ranges, and a year's applications and history."""
    office.folder.mkdir()
    members = range(1, office.members)
    links = []
    for n in range(min(chains, 2 * len(members))):
        at, part = members[n % len(members)], n // len(members)
        to = f"m-{(at + 1) % office.members:05}"
        check = f"{{by: m-{at:05}, day: 2026-04-01, document: D-{n}}}"
        links.append(
            f"  - {{numbers: {office.range(at, 20 * part, 10)!r}, "
            f"links: [{{from: m-{at:05}, to: {to}, checked: {check}}}]}}\n"
        )
    office.registry.write_text(f"{registry_text(office.numbers, office.members)}chains:\n{''.join(links)}")
    document = suspend_ranges(min(stops, 5 * office.members), office.members, office.numbers // office.members, False)
    content = document.model_dump(mode="json", exclude_none=True)
    for entry in content["suspensions"]:
        del entry["kind"]
    (office.folder / "suspensions.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (office.folder / "applications").mkdir()
    for n in range(APPLICATIONS):
        (office.folder / "applications" / f"A-{n:04}.yaml").write_text(APPLICATION % (f"{n:04}", f"{n:04}", n))
    began, history = datetime.now(UTC) - timedelta(days=365), office.folder / "history"
    history.mkdir(mode=0o700)
    lines = (
        HistoryEntry(
            at=began + timedelta(minutes=100 * n),
            action=Action.REVIEW,
            by="office (uid 1, by login)",
            subject=f"A-{n % APPLICATIONS:04}",
            why="as examined",
            result=ReviewResult.REFUSED,
        ).model_dump_json(exclude_none=True)
        for n in range(ENTRIES)
    )
    (history / "registry.jsonl").write_text("".join(f"{line}\n" for line in lines))
    office.beside("one.yaml").write_text(APPLICATION % ("one", "900", 9_999_999))
    with wave.open(str(office.beside("second.wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000))
    office.beside("numbers.txt").write_text("".join(f"0502{n:07}\n" for n in range(0, 2_000, 2)))
    sample = (Path(__file__).parents[1] / "config" / "evaluation.yaml").read_text("utf-8")
    (office.folder / "evaluation.yaml").write_text(sample.replace("association.example", "association.test"))
    office.beside("idtone.yaml").write_text(
        f"registry: {{source: {office.folder / 'repository'}, trust: {office.beside('root.json')}, "
        f"cache: {office.beside('cache')}}}\n"
    )


Command = tuple[str, Sequence[object], str]
"""The name, the words, and the typed input of a command."""


def commands(office: Office) -> Iterator[Command]:
    """Commands of the office, in an order in which each can run."""
    folder, registry, numbers = office.folder, office.registry, office.beside("numbers.txt")
    node = Signer("m-00001/pbx-1", b"n" * 32).key
    held, free = office.number(2, 1), "05030000000"
    every = office.key("registry-1", "registry-2", "duty-1", "duty-2")
    settings = ("-c", office.beside("idtone.yaml"))

    def of_office(name: str, *words: object, typed: str = "") -> Command:
        return name, (*name.split(), "--folder", folder, *words), typed

    yield of_office("publication begin", "--keys", office.beside("keys"))
    yield "registry check", ("registry", "check", folder), ""
    yield "registry show", ("registry", "show", folder), ""
    yield "registry show MEMBER", ("registry", "show", folder, "m-00001"), ""
    yield "registry show --number", ("registry", "show", folder, "--number"), f"{held}\n"
    yield (
        "registry decide",
        ("registry", "decide", "--registry", registry, "--number", held, "--direction", "incoming"),
        "",
    )
    yield "registry update", ("registry", "update", *settings), ""
    yield "registry update, again", ("registry", "update", *settings), ""
    yield of_office("member find", "Member 00002")
    _, words, _ = of_office("member find")
    yield "find, by number", words, f"{held}\n"
    yield of_office("member numbers", "m-00002")
    yield of_office("history show")
    yield of_office("application list", "--all")
    yield of_office("application accept", office.beside("one.yaml"))
    yield of_office("application review", "A-one", "--result", "passed", *WHY)
    yield of_office("application grant", "A-one", "--until", "2036-01-01")
    identified = ("--document", "登記事項証明書", "--checked", "2026-11-19", "--by", "Suzuki")
    receipt = applicant.hand_in(folder, {**applicant.ENTRIES, "numbers": "05019999998"}, applicant.PLEDGE).id
    yield of_office("application take", receipt, "--member", "m-902", *identified, "--pledge-until", "2036-11-18")
    yield of_office("licence renew", "L-00001", "--until", "2036-05-01", *WHY)
    yield of_office("licence suspend", "L-00001", *WHY)
    yield of_office("licence resume", "L-00001", *WHY)
    yield of_office("licence revoke", "L-00003", *WHY)
    pledge = ("--document", "3", "--sha256", "ab" * 32, "--signatory", "X", "--signed", "2026-11-01")
    yield of_office("member pledge", "m-00001", *pledge, "--until", "2030-01-01")
    yield of_office("number assign", "m-00001", *WHY, typed=f"{free}\n\n")
    _, words, _ = of_office("number assign", "m-00004", *WHY, "--numbers", numbers)
    yield "assign-number, 1,000", words, ""
    yield of_office("number release", "m-00001", *WHY, typed=f"{free}\n\n")
    _, words, _ = of_office("number release", "m-00004", *WHY, "--numbers", numbers)
    yield "release-number, 1,000", words, ""
    part = office.range(2, 40, 5)
    yield of_office("chain add", "m-00002", "m-00004", *WHY, typed=f"{part}\n\n")
    check = ("--checked", "2026-11-02", "--document", "D-9", "--by", "m-00002")
    yield of_office("chain check", "m-00004", *check, typed=f"{part}\n\n")
    soon = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    notice = ("--number", "N-1", "--until", soon, "--document", "認定通知書", "--next-check", soon)
    yield of_office("member certify", "m-00001", *notice)
    yield of_office("member describe", "m-00001", "--notification", "A-1", *WHY)
    yield of_office("publication undo", *WHY)
    yield of_office("sound add", "second", office.beside("second.wav"), "--title", "Second", *WHY)
    passed = ("--version", "1", "--since", "2026-11-01", "--document", "D-1")
    yield of_office("member agree", "m-00001", "training", *passed)
    yield of_office("member end-agreement", "m-00001", "training", "--through", "2026-11-02", *WHY)
    yield of_office("member agreements")
    yield of_office("member contacts")
    yield of_office("condition enter", *WHY)
    yield of_office("condition list")
    course = course_of(None)
    answers = answer_sheet(course, {each.id: each.right for each in course.questions})
    yield of_office("course record", "m-00001", "--answers", answers, typed="X\n")
    yield of_office("course certificate", "T-0001", "--person", "X", "-o", office.beside("certificate.pdf"))
    due = ("--due", "2036-01-01", "--what", "bench", "--member", "m-00001")
    yield of_office("duty enter", "other", *due)
    yield of_office("paper account", "--year", "2026", "-o", office.beside("account"))
    letter = ("--about", "certification", "--person", "X", "-o", office.beside("letter.pdf"))
    yield of_office("paper letter", "m-00001", *letter)
    yield of_office("chain certify", "m-00004", *notice, typed=f"{part}\n\n")
    yield of_office("chain remove", "m-00004", *WHY, typed=f"{part}\n\n")
    yield of_office("number port", "m-00002", "m-00004", "--at", "2036-01-01", *WHY, typed=f"{part}\n\n")
    yield of_office("number end-porting", *WHY, typed=f"{part}\n\n")
    yield of_office("node add-key", "m-00001", node)
    yield of_office("node remove-key", "m-00001", node, *WHY)
    log, witness = str(Signer("pbx-1/idtone", b"l" * 32).key), str(Signer("witness.example/w", b"w" * 32).cosigner)
    yield of_office("log add-key", "m-00001", log)
    yield of_office("log add-witness", witness)
    yield of_office("log add-witness", str(Signer("second.example/w", b"v" * 32).cosigner))
    yield of_office("log demand-cosignatures", "2", *WHY)
    yield of_office("log end-key", log, "--until", "2037-01-01", *WHY)
    yield of_office("log end-witness", witness, "--until", "2037-01-01", *WHY)
    yield of_office("publication prolong", "--until", "2037-01-01", *WHY)
    yield of_office("suspension number", *POLICE, "--no-holder", typed=f"{free}\n{free}\n")
    part = "05030000010-05030000019"
    yield of_office("suspension range", *POLICE, typed=f"{part}\n{part}\n")
    yield of_office("suspension member", *POLICE, typed="m-00003\nm-00003\n")
    yield of_office("member refuse-numbers", "m-00003", *POLICE)
    yield of_office("member allow-numbers", "m-00003", *WHY)
    yield of_office("suspension lift", *WHY, typed=f"{free}\n{free}\n")
    of_holder = ("--holder", "X", "--reference", "N-1", "--requested", "2026-11-02T09:00:00+09:00")
    yield of_office("never-originating add", *of_holder, typed=f"{part}\n{part}\n")
    yield of_office("never-originating remove", *WHY, typed=f"{part}\n{part}\n")
    yield of_office("evaluation observe", "contact", "m-00001", "--day", "2026-11-02", "--result", "good")
    ended = ("--since", "2025-01-01", "--until", "2025-12-31")
    yield of_office("evaluation run", *ended)
    yield of_office("evaluation list")
    yield of_office("publication prepare", "--package", office.beside("package"))
    sign = ("publication", "sign", office.beside("package"), *every, "--trust", office.beside("root.json"), "--yes")
    yield "sign", sign, ""
    yield "assemble", ("publication", "assemble", office.beside("package"), office.beside("package")), ""
    _, words, _ = of_office("publication publish", "--package", office.beside("package"))
    yield "publish --package", words, ""
    yield of_office("licence renew", "L-00001", "--until", "2036-06-01", *WHY)
    yield of_office("publication publish", *every, "--site", office.beside("site"))
    _, words, _ = of_office("publication publish", *office.key("duty-1", "duty-2"))
    yield "publish, nothing new", words, ""
    (folder / "authority.yaml").write_text(f"published: {office.beside('published')}\n")
    yield of_office("publication copy")
    statement = office.beside("statement")
    yield of_office("site prepare", "--package", statement)
    sign = ("site", "sign", statement, *office.key("duty-1", "duty-2"), "--trust", office.beside("root.json"), "--yes")
    yield "site sign", sign, ""
    yield "site assemble", ("site", "assemble", statement, statement), ""
    yield of_office("site write", "-o", office.beside("public"), "--package", statement)
    yield of_office("key keep-for-night", "sato", office.beside("keys") / "duty-1.pem")
    yield of_office("suspension in-force")
    _, words, _ = of_office("suspension in-force", "P-1")
    yield "confirmations REFERENCE", words, ""
    yield (
        "verify operators",
        ("verify", "operators", office.beside("site"), "--trust", office.beside("root.json")),
        "",
    )
    old = office.beside("package") / "before" / "targets" / "registry.yaml"
    yield "registry diff", ("registry", "diff", old, registry), ""
    new = ("--keys", office.beside("new-keys"))
    yield of_office("key rotate", "duty", *new, *WHY, *office.key("root-1", "root-2", "registry-1", "registry-2"))


@dataclass(frozen=True)
class Cost:
    s: float
    cpu_s: float


def run(command: Sequence[object], typed: str = "") -> Cost:
    """Run a command, and return its cost.

    Raises RuntimeError if the command fails. A negative verdict is not a failure.
    """
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        given.write(typed)
        given.seek(0)
        began = time.perf_counter()
        environment = os.environ | {PASSPHRASE: "of the bench"}
        with subprocess.Popen(
            list(map(str, command)), stdin=given, stdout=said, stderr=said, env=environment
        ) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - began
        if process.returncode not in (0, command_line.NEGATIVE):
            said.seek(0)
            raise RuntimeError(f"{command}: {said.read()[-2000:]}")
    return Cost(took, used.ru_utime + used.ru_stime)


def measure(
    numbers: int, members: int, tell: Callable[[str], None], chains: int = CHAINS, stops: int = STOPS
) -> list[Found]:
    """Run all commands of the office with a large registry, and return a row of costs for each.

    The first row is the baseline, which only parses registry.yaml.
    """
    with tempfile.TemporaryDirectory(prefix="idtone-office-") as scratch:
        office = Office(Path(scratch) / "authority", numbers, members)
        prepare(office, chains, stops)
        bare: list[Cost] = []
        found: list[tuple[str, Cost]] = []
        for n, (name, words, typed) in enumerate(commands(office)):
            if n % BASELINE_EVERY == 0:
                bare.append(run([sys.executable, "-c", PARSE, office.registry]))
            tell(f"{name} …")
            found.append((name, run([IDTONE.with_name(program_of([*map(str, words)])), *words], typed)))
            if name == "publication begin":
                office.keep_root()
    alone = Cost(*(statistics.median(getattr(each, name) for each in bare) for name in ("s", "cpu_s")))
    return [_row("parsing registry.yaml alone", alone, alone), *(_row(name, cost, alone) for name, cost in found)]


def _row(name: str, cost: Cost, alone: Cost) -> dict[str, Any]:
    return {"command": name, "s": cost.s, "cpu_s": cost.cpu_s, "to_parsing": cost.cpu_s / alone.cpu_s}

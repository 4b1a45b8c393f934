"""Members and the office on the command line, with a desk that runs: a report, its requests, its answers, its end."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idtone import command_line
from idtone.authority.desk.reports.report_desk import ReportDesk
from idtone.authority.desk.reports.report_store import PAGE
from idtone.cli import app
from idtone.ledger.commands.shared import local
from idtone.ledger.evidence.records import iso_ms
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.settings import load_settings

from ..authority.desk.desk_process import running
from ..authority.desk.reports.members import CONTACT, NAME, NOW, OFFICERS, PHRASE, Members, authority
from ..authority.desk.reports.members import report as a_report
from ..ledger.sample_evidence import NOW as CALLED_AT
from ..ledger.sample_evidence import heard_call

TEXT = f"""\
report:
  number: 03-1234-5678
  at: {CALLED_AT.isoformat()}
  what: 銀行員を名乗る男に口座を聞かれた
  reporter: {{name: {NAME}, contact: {CONTACT}, disclose: true}}
"""


@dataclass
class Terminal:
    """Runs commands in this process."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def run(self, *arguments: object, typed: str = "", code: int = 0) -> tuple[str, str]:
        """Standard output and standard error of a command that ends with this code."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        ended = 0
        try:
            command_line.run(lambda: app([*map(str, arguments)]))
        except SystemExit as end:
            ended = int(end.code or 0)
        shown = self.capsys.readouterr()
        assert "Traceback" not in shown.err
        assert ended == code, shown.err
        for number in ("0312345678", "312345678"):
            assert number not in shown.out + shown.err or arguments[1] == "report"
        return shown.out, " ".join(shown.err.split())

    def told(self, *arguments: object, typed: str = "", code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", typed=typed, code=code)[0])


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    return Terminal(capsys, monkeypatch)


def member(folder: Path, number: int, desk: str) -> Path:
    """The settings of a member's node; the first one's ledger has calls."""
    folder.mkdir()
    settings_file = folder / "idtone.yaml"
    settings_file.write_text(
        f"node: pbx-1\nassociation: {{member: m-000{number}, desk: '{desk}'}}\n"
        f"ledger: {{url: 'sqlite:///{folder}/ledger.sqlite3', key_file: {folder}/ledger.key}}\n"
    )
    seed = folder / "ledger.key.sign"
    seed.write_bytes(bytes([number]) * 32)
    seed.chmod(0o600)
    settings = load_settings(settings_file, {})
    with LedgerWriter.open(settings.ledger.own(), "pbx-1", KeyRing.of(settings.ledger, "pbx-1")) as writer:
        for step in heard_call("c-1") if number == 1 else ():
            writer.append(step)
    return settings_file


@pytest.fixture
def office(tmp_path: Path) -> Path:
    return authority(tmp_path / "authority")


@pytest.fixture
def nodes(tmp_path: Path, office: Path) -> Iterator[list[Path]]:
    """The settings of two members, while the desk runs."""
    with running(office) as url:
        yield [member(tmp_path / f"m-{number}", number, url) for number in (1, 2)]


def test_a_report_is_sent_asked_answered_and_closed(terminal, office, nodes, tmp_path, in_japan):
    first, second = nodes
    file = tmp_path / "report.yaml"
    file.write_text(TEXT)
    sent = terminal.told("reports", "send", file, "-c", second)
    report_id = sent["report"]
    [request] = terminal.told("reports", "fetch", "-c", first)
    assert request["at"] == iso_ms(CALLED_AT)
    assert local(CALLED_AT).endswith("+09:00")
    assert local(CALLED_AT) in terminal.run("reports", "fetch", "-c", first)[0]
    assert (request["number"], request["downstream"], request["overdue"]) == ("…5678", None, False)
    answer = ("reports", "answer", request["id"])
    _, error = terminal.run(*answer, "-c", first, code=2)
    assert "needs an evidence pack: run `idtone ledger export c-1" in error
    _, error = terminal.run(*answer, "--result", "not-ours", "-c", first, typed="n\n", code=1)
    assert "calls 1 call c-1 outcome PLAY reason licence-valid heard yes result not-ours" in error
    assert "nothing was sent" in error
    pack = tmp_path / "pack.zip"
    basis = ("--case", request["id"], "--basis", "association", "--reference", request["id"], "--sealed")
    made = terminal.told("ledger", "export", "c-1", *basis, "-o", pack, "-c", first)
    out, _ = terminal.run(*answer, "--pack", pack, "-c", first, typed="y\n")
    assert f"{request['id']} is answered: customer-held" in out
    terminal.run(*answer, "--pack", pack, "-c", first, "--yes", code=2)
    [kept] = terminal.told("reports", "list", "-c", first)
    assert datetime.fromisoformat(kept["time"]).utcoffset() == timedelta(0)
    assert "+09:00" in terminal.run("reports", "list", "-c", first)[0]
    assert (kept["act"], kept["subject"], kept["call"]) == ("report-answer-signed", request["id"], "c-1")
    [kept] = terminal.told("reports", "list", "-c", second)
    assert (kept["act"], kept["subject"]) == ("report-sent", report_id)
    out, error = terminal.run("reports", "fetch", "-c", first)
    assert "no request waits" in error

    shown = terminal.told("authority", "report", office, report_id)
    assert (shown["number"], shown["stage"], shown["finding"]) == ("+81312345678", "office", "customer-held")
    [hop] = shown["requests"]
    assert (hop["pack"], hop["calls"], hop["call"], hop["heard"]) == (made["sha256"], 1, "c-1", True)
    assert NAME not in json.dumps(shown, ensure_ascii=False)
    revealed = ("authority", "reveal-reporter", office, report_id, "--key", tmp_path / OFFICERS, "--why", "police 7")
    assert terminal.told(*revealed)["contact"] == CONTACT
    terminal.run("authority", "close-report", office, report_id, "--result", "traced", "--why", "as the pack shows")
    [listed] = terminal.told("authority", "reports", office, "--number", typed="0312345678\n")
    assert (listed["result"], listed["number"], listed["reporter"]) == ("traced", "…5678", "consents")
    assert terminal.told("authority", "reports", office, "--number", typed="0399999999\n") == []
    assert terminal.told("authority", "report-stats", office, "--by", "result")["total"] is None
    forgotten = ("authority", "forget-reports", office, "--before", "2100-01-01")
    assert terminal.run(*forgotten)[0] == "1 reports are forgotten\n"
    [listed] = terminal.told("authority", "reports", office)
    assert (listed["number"], listed["reporter"], listed["result"]) == (None, None, "traced")
    _, error = terminal.run("authority", "report", office, report_id, code=2)
    assert "was erased" in error
    acts = [act.act for act in ReportDesk(Members(office).desk)._desk.ledger.acts()]
    assert acts[-4:] == ["report-shown", "reporter-revealed", "report-closed", "reports-forgotten"]


WRONG = {
    "upstream without a member": (("--result", "upstream"), "belong together"),
    "a member without upstream": (("--result", "not-ours", "--upstream", "m-0002"), "belong together"),
    "a pack that is not asked for": (("--result", "not-ours", "--pack", "x.zip"), "belongs to the result"),
    "a pack that is none": (("--pack", "report.yaml"), "report.yaml"),
}


def test_an_answer_that_contradicts_itself_is_not_signed(terminal, office, nodes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.yaml").write_text(TEXT)
    terminal.run("reports", "send", "report.yaml", "-c", nodes[1])
    [request] = terminal.told("reports", "fetch", "-c", nodes[0])
    for options, said in WRONG.values():
        _, error = terminal.run("reports", "answer", request["id"], *options, "--yes", "-c", nodes[0], code=2)
        assert said in error
    _, error = terminal.run("reports", "answer", request["id"], "--yes", "-c", nodes[1], code=2)
    assert "no open request" in error
    assert terminal.told("reports", "list", "-c", nodes[0]) == []


def test_a_new_report_is_good_and_is_not_overwritten(terminal, tmp_path):
    file = tmp_path / "report.yaml"
    terminal.run("reports", "new", file)
    out, _ = terminal.run("reports", "check", file)
    assert "good; …5678" in out
    _, error = terminal.run("reports", "new", file, code=2)
    assert "exists already" in error


def test_the_office_lists_what_is_overdue_and_reminds(terminal, office):
    members = Members(office)
    with members.desk.ledger.open():
        members.report(a_report())
        assert terminal.told("authority", "overdue-reports", office) == []
        members.reports.enter(members.sealed(a_report(), "OTHER"), PAGE, NOW - timedelta(days=6))
    [late] = terminal.told("authority", "overdue-reports", office, "--remind", code=1)
    assert (late["member"], late["reminders"]) == ("m-0001", 0)
    [late] = terminal.told("authority", "overdue-reports", office, code=1)
    assert late["reminders"] == 1
    assert len(terminal.told("authority", "reports", office, "--stage", "member")) == 2
    assert terminal.told("authority", "reports", office, "--stage", "closed") == []


def test_the_officers_key_is_made_once(terminal, tmp_path):
    out, _ = terminal.run("authority", "report-key", tmp_path, tmp_path / "mine.pem")
    assert "mine.pem is written" in out
    assert b"ENCRYPTED" in (tmp_path / "mine.pem").read_bytes()
    _, error = terminal.run("authority", "report-key", tmp_path, tmp_path / "other.pem", code=2)
    assert "never overwritten" in error

"""A report from start to end with a running desk: the commands of the members and of the office."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idtone.core.settings.settings import load_settings
from idtone.ledger.commands.options import local_time
from idtone.ledger.evidence.call_record import iso_ms
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.office.desk.reports.desk_key import OFFICER_FILE
from idtone.office.desk.reports.report_desk import ReportDesk
from idtone.office.desk.reports.report_store import PAGE
from lab.ledger.sample_evidence import NOW as CALLED_AT
from lab.ledger.sample_evidence import heard_call
from lab.office.desk.desk_process import desk_in_thread
from lab.office.desk.reports.members import (
    CONTACT,
    NAME,
    NOW,
    OFFICERS,
    PHRASE,
    SERVICE,
    WORDS,
    Members,
    authority,
    service_report,
)
from lab.office.desk.reports.members import report as a_report
from lab.terminal import Terminal

TEXT = f"""\
report:
  number: 03-1234-5678
  at: {CALLED_AT.isoformat()}
  what: 銀行員を名乗る男に口座を聞かれた
  reporter: {{name: {NAME}, contact: {CONTACT}, disclose: true}}
"""


class Private(Terminal):
    """Settings that never show a number in clear, except when the office asks for a report."""

    def run(self, *words: object, typed: str = "") -> tuple[int, Any, str]:
        code, out, error = super().run(*words, typed=typed)
        assert words[1] == "show" or "312345678" not in f"{out}{error}"
        return code, out, " ".join(error.split())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Private:
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    return Private()


def member(folder: Path, number: int, desk: str) -> Path:
    """Settings of a member's node. Only the ledger of member 1 has calls."""
    folder.mkdir()
    settings_file = folder / "idtone.yaml"
    settings_file.write_text(
        f"node: pbx-1\nassociation: {{member: m-000{number}, desk: '{desk}'}}\n"
        f"ledger: {{url: 'sqlite:///{folder}/ledger.sqlite3', key_file: {folder}/ledger.key}}\n"
    )
    replace_private(folder / "ledger.key.sign", bytes([number]) * 32)
    settings = load_settings(settings_file, {})
    with LedgerWriter.open(settings.ledger.own_url(), "pbx-1", KeyRing.of(settings.ledger, "pbx-1")) as writer:
        for step in heard_call("c-1") if number == 1 else ():
            writer.append(step)
    return settings_file


@pytest.fixture
def office(tmp_path: Path) -> Path:
    return authority(tmp_path / "authority")


@pytest.fixture
def nodes(tmp_path: Path, office: Path) -> Iterator[list[Path]]:
    """Settings of two members, while the desk runs."""
    with desk_in_thread(Members(office).desk) as url:
        yield [member(tmp_path / f"m-{number}", number, url) for number in (1, 2)]


def test_the_office_reads_and_closes_a_report_about_a_service(terminal, office):
    report_id = Members(office).report(service_report())
    [listed] = terminal.json("report", "list", "--folder", office, "--stage", "office")
    assert (listed["service"], listed["number"], listed["finding"]) == (SERVICE, None, "no-number")
    shown = terminal.json("report", "show", "--folder", office, report_id)
    assert (shown["service"], shown["what"], shown["basis"]) == (SERVICE, WORDS, "no-number")
    assert "at" not in shown
    close = ("report", "close", "--folder", office, report_id, "--why", "asked the operator", "--result")
    assert "the possible results are examined, unfounded" in terminal.error(*close, "traced")
    terminal.output(*close, "examined")
    assert terminal.json("report", "list", "--folder", office, "--stage", "office") == []


def test_a_report_is_sent_asked_answered_and_closed(terminal, office, nodes, tmp_path, in_japan):
    first, second = nodes
    file = tmp_path / "report.yaml"
    file.write_text(TEXT)
    sent = terminal.json("report", "send", file, "-c", second)
    report_id = sent["report"]
    [request] = terminal.json("request", "fetch", "-c", first)
    assert request["at"] == iso_ms(CALLED_AT)
    assert local_time(CALLED_AT).endswith("+09:00")
    assert local_time(CALLED_AT) in terminal.output("request", "fetch", "-c", first)
    assert (request["number"], request["downstream"], request["overdue"]) == ("…5678", None, False)
    answer = ("request", "answer", request["id"])
    assert "needs an evidence pack: run `idtone ledger export c-1" in terminal.error(*answer, "-c", first)
    code, _, error = terminal.run(*answer, "--result", "not-ours", "-c", first, typed="n\n")
    assert "calls 1 call c-1 outcome PLAY reason licence-valid sound sent result not-ours" in error
    assert (code, "nothing was sent" in error) == (1, True)
    pack = tmp_path / "pack.zip"
    basis = ("--case", request["id"], "--basis", "association", "--reference", request["id"], "--sealed")
    made = terminal.json("ledger", "export", "c-1", *basis, "-o", pack, "-c", first)
    answered = terminal.output(*answer, "--pack", pack, "-c", first, typed="y\n")
    assert f"{request['id']} is answered: customer-held" in answered
    terminal.error(*answer, "--pack", pack, "-c", first, "--yes")
    [kept] = terminal.json("request", "list", "-c", first)
    assert datetime.fromisoformat(kept["time"]).utcoffset() == timedelta(0)
    assert "+09:00" in terminal.output("request", "list", "-c", first)
    assert (kept["act"], kept["subject"], kept["call"]) == ("report-answer-signed", request["id"], "c-1")
    [kept] = terminal.json("request", "list", "-c", second)
    assert (kept["act"], kept["subject"]) == ("report-sent", report_id)
    assert "no request waits" in terminal.run("request", "fetch", "-c", first)[2]

    shown = terminal.json("report", "show", "--folder", office, report_id)
    assert (shown["number"], shown["stage"], shown["finding"]) == ("+81312345678", "office", "customer-held")
    [hop] = shown["requests"]
    assert (hop["pack"], hop["calls"], hop["call"], hop["delivery"]) == (made["sha256"], 1, "c-1", "sent")
    assert NAME not in json.dumps(shown, ensure_ascii=False)
    revealed = (
        "report",
        "reveal-reporter",
        "--folder",
        office,
        report_id,
        "--key",
        tmp_path / OFFICERS,
        "--why",
        "police 7",
    )
    assert terminal.json(*revealed)["contact"] == CONTACT
    terminal.output(
        "report", "close", "--folder", office, report_id, "--result", "traced", "--why", "as the pack shows"
    )
    [listed] = terminal.json("report", "list", "--folder", office, "--number", typed="0312345678\n")
    assert (listed["result"], listed["number"], listed["reporter"]) == ("traced", "…5678", "consents")
    assert terminal.json("report", "list", "--folder", office, "--number", typed="0399999999\n") == []
    assert terminal.json("report", "stats", "--folder", office, "--by", "result")["total"] is None
    forgotten = ("report", "forget", "--folder", office, "--before", "2100-01-01")
    assert terminal.output(*forgotten) == "1 reports are forgotten\n"
    [listed] = terminal.json("report", "list", "--folder", office)
    assert (listed["number"], listed["reporter"], listed["result"]) == (None, None, "traced")
    assert "was erased" in terminal.error("report", "show", "--folder", office, report_id)
    acts = [act.act for act in ReportDesk(Members(office).desk)._desk.ledger.acts()]
    assert acts[-4:] == ["report-shown", "reporter-revealed", "report-closed", "reports-forgotten"]


def test_a_report_that_is_sent_again_stays_one_report(terminal, office, nodes, tmp_path):
    file = tmp_path / "report.yaml"
    file.write_text(TEXT)
    first = terminal.json("report", "send", file, "-c", nodes[1])
    assert terminal.json("report", "send", file, "-c", nodes[1]) == first
    assert len(terminal.json("request", "list", "-c", nodes[1])) == 2, "each signature is an act of this node"
    file.write_text(TEXT.replace("銀行員", "警察官"))
    other = terminal.json("report", "send", file, "-c", nodes[1])
    file.write_text(TEXT)
    elsewhere = terminal.json("report", "send", file, "-c", nodes[0])
    assert len({each["receipt"] for each in (first, other, elsewhere)}) == 3
    assert {each["id"] for each in terminal.json("report", "list", "--folder", office)} == {
        each["report"] for each in (first, other, elsewhere)
    }
    assert len(terminal.json("request", "fetch", "-c", nodes[0])) == 3


WRONG = {
    "upstream without a member": (("--result", "upstream"), "belong together"),
    "a member without upstream": (("--result", "not-ours", "--upstream", "m-0002"), "belong together"),
    "a pack that is not asked for": (("--result", "not-ours", "--pack", "x.zip"), "belongs to the result"),
    "a pack that is none": (("--pack", "report.yaml"), "report.yaml"),
}


def test_an_answer_that_contradicts_itself_is_not_signed(terminal, office, nodes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.yaml").write_text(TEXT)
    terminal.output("report", "send", "report.yaml", "-c", nodes[1])
    [request] = terminal.json("request", "fetch", "-c", nodes[0])
    for options, said in WRONG.values():
        assert said in terminal.error("request", "answer", request["id"], *options, "--yes", "-c", nodes[0])
    assert "no open request" in terminal.error("request", "answer", request["id"], "--yes", "-c", nodes[1])
    assert terminal.json("request", "list", "-c", nodes[0]) == []


def test_a_new_report_is_good_and_is_not_overwritten(terminal, tmp_path):
    file = tmp_path / "report.yaml"
    terminal.output("report", "new", file)
    assert "good; …5678" in terminal.output("report", "check", file)
    assert "exists already" in terminal.error("report", "new", file)


def test_the_office_lists_what_is_overdue_and_reminds(terminal, office):
    members = Members(office)
    with members.desk.ledger.open():
        members.report(a_report())
        assert terminal.json("report", "overdue", "--folder", office) == []
        members.reports.enter(members.sealed(a_report(), "OTHER"), PAGE, NOW - timedelta(days=6))
    [late] = terminal.json("report", "overdue", "--folder", office, "--remind", code=1)
    assert (late["member"], late["reminders"]) == ("m-0001", 0)
    [late] = terminal.json("report", "overdue", "--folder", office, code=1)
    assert late["reminders"] == 1
    assert len(terminal.json("report", "list", "--folder", office, "--stage", "member")) == 2
    assert terminal.json("report", "list", "--folder", office, "--stage", "closed") == []


def test_the_officers_key_is_made_once(terminal, office, tmp_path):
    (office / OFFICER_FILE).unlink()
    assert "mine.pem is written" in terminal.output("report", "new-key", "--folder", office, tmp_path / "mine.pem")
    assert b"ENCRYPTED" in (tmp_path / "mine.pem").read_bytes()
    assert "never overwritten" in terminal.error("report", "new-key", "--folder", office, tmp_path / "other.pem")

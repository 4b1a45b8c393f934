"""The desk over HTTP is killed while it accepts a report and the answer. A reader of the ledger then finds a correct
state.
"""

import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import urllib3

from idtone.member.reports.report_documents import REPORT
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.office.desk.office_ledger import OfficeAct
from idtone.office.desk.reports.call_traceback import Finding
from idtone.office.desk.reports.report_desk import ReportDesk
from idtone.registry.correspondence.desk_client import PATH
from lab.forked_idtone import Forked
from lab.nightly_tests import rest_at_night
from lab.office.desk.desk_process import desk_in_thread
from lab.office.desk.reports.dying_desk import MOMENTS, kill_desk_at
from lab.office.desk.reports.members import Members, authority, report

CHANGES = {"the report or the answer": 1, "the document": 2}
"""Changes by each document: two, one in each store."""


def send(url: str, octets: bytes) -> dict[str, str]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", url + PATH, body=octets, retries=False, timeout=60)
        assert answer.status == 200, answer.data
        return dict(answer.json())


def send_to_a_desk_that_dies(folder: Path, octets: bytes, moment: str, call: int) -> None:
    log = folder.with_name("log")
    log.write_bytes(b"")
    words = ["desk", "--folder", str(folder), "--listen", "127.0.0.1:0"]
    desk = Forked(words, str(log), os.environ, partial(kill_desk_at, moment, call))
    try:
        while "\n" not in log.read_text():
            assert desk.poll() is None, log.read_text()
            time.sleep(0.02)
        with suppress(urllib3.exceptions.HTTPError):
            send(log.read_text().partition("\n")[0], octets)
        assert desk.wait(60) == -signal.SIGKILL
    finally:
        desk.kill()


def check_that_leaves_and_stores_agree(folder: Path) -> list[OfficeAct]:
    """Check that each leaf names a stored document, and that each stored document has one leaf. Returns the acts."""
    desk = DocumentDesk(folder, RULES)
    reports = ReportDesk(desk)
    acts = desk.ledger.acts()
    leaves = [act.details["document"] for act in acts if "document" in act.details and act.act in RULES]
    kept = [each.id for kind in RULES for each in desk.documents.of(kind)]
    assert sorted(leaves) == sorted(kept)
    entered = [act.subject for act in acts if act.act == "report-entered"]
    assert entered == [each.id for each in reports.store.listed()]
    requests = [act.details["request"] for act in acts if act.act == "report-answered"]
    answered = [each for one in entered for each in reports.store.requests_of(one) if each.answered]
    assert requests == [each.id for each in answered]
    return acts


@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
@rest_at_night("moment", MOMENTS)
def test_a_desk_that_is_killed_leaves_no_leaf_without_what_it_names(tmp_path, moment, call):
    folder = authority(tmp_path / "authority")
    members = Members(folder)
    octets = members.document(REPORT, members.sealed(report()).model_dump(), "m-0002")
    send_to_a_desk_that_dies(folder, octets, moment, call)
    check_that_leaves_and_stores_agree(folder)
    with desk_in_thread(DocumentDesk(folder, RULES)) as url:
        first = send(url, octets)
        assert send(url, octets) == first
    check_that_leaves_and_stores_agree(folder)

    [request] = ReportDesk(DocumentDesk(folder, RULES)).store.requests_of(first["report"])
    answer = members.answer("m-0001", request.id)
    send_to_a_desk_that_dies(folder, answer, moment, call)
    check_that_leaves_and_stores_agree(folder)
    with desk_in_thread(DocumentDesk(folder, RULES)) as url:
        assert send(url, answer) == {"request": request.id, "result": "not-ours"}
        assert send(url, octets) == first
    acts = check_that_leaves_and_stores_agree(folder)
    assert [act.act for act in acts] == ["report-entered", "report", "report-answered", "report-answer"]
    assert ReportDesk(DocumentDesk(folder, RULES)).named(first["report"]).finding is Finding.NOT_OURS

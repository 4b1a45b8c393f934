"""The desk gets documents over HTTP from a member's command line. It stores each one once, as a leaf of the office's
ledger.
"""

import asyncio
import json
import os
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from idtone.core.errors import TrustError
from idtone.core.http.connection_limits import ConnectionLimits
from idtone.core.signed_notes import Signer
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_queued_acts
from idtone.ledger.keys.private_files import replace_private
from idtone.office.desk import desk_server
from idtone.office.desk.desk_server import _hosts, application
from idtone.office.desk.document_desk import Accepted, DocumentDesk
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.registry.correspondence.desk_client import PATH
from idtone.registry.correspondence.signed_document import sign_document
from lab.office.desk.desk_process import desk_in_thread, running_desk
from lab.registry.examples import GOOD, with_keys
from lab.terminal import Terminal

SIGNER = Signer("m-0001/pbx-1", b"1" * 32)
NOW = datetime.now(UTC)


def judged(desk: DocumentDesk, document, now) -> Accepted:
    if "refuse" in document.content:
        raise TrustError(str(document.content["refuse"]))
    return Accepted(document.content["subject"], {"seen": document.member})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An authority's folder. The registry has a key of the first member."""
    found = tmp_path / "authority"
    found.mkdir()
    (found / "registry.yaml").write_text(with_keys(GOOD, m1=[SIGNER.key]).partition("suspensions:")[0])
    return found


@pytest.fixture
def desk(folder: Path) -> DocumentDesk:
    return DocumentDesk(folder, {"note": judged})


def note(subject: str, at: datetime = NOW, **more) -> bytes:
    return sign_document("note", "m-0001", {"subject": subject, **more}, SIGNER, at)


def test_a_document_is_kept_once_and_is_a_leaf(desk):
    octets = note("S-1")
    assert desk.accept(octets, NOW) == desk.accept(octets, NOW) == {"seen": "m-0001"}
    [act] = desk.ledger.acts()
    assert (act.act, act.subject, act.details["member"]) == ("note", "S-1", "m-0001")
    [kept] = desk.documents.of("note", subject="S-1")
    assert (kept.octets, kept.received) == (octets, NOW)
    assert next(desk.folder.glob("*.sqlite3")).stat().st_mode & 0o777 == 0o600
    assert not list(desk.documents.of("note", subject="S-2"))
    assert not list(desk.documents.of("note", member="m-0002"))


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (note("S-1", refuse="it is late"), "it is late"),
        (note("S-1", NOW + timedelta(minutes=6)), "later time than now"),
        (sign_document("other", "m-0001", {}, SIGNER, NOW), "does not know documents of the kind 'other'"),
        (sign_document("note", "m-0002", {"subject": "S-1"}, SIGNER, NOW), "not signed by a key"),
    ],
    ids=["its rule", "its time", "its kind", "its member"],
)
def test_what_is_refused_leaves_nothing(desk, octets, said):
    with pytest.raises(TrustError, match=said):
        desk.accept(octets, NOW)
    assert not desk.ledger.acts()
    assert not list(desk.documents.of("note"))


def test_acts_of_several_threads_are_all_recorded(desk):
    with desk.ledger.open():
        threads = [threading.Thread(target=desk.accept, args=(note(f"S-{n}"), NOW)) for n in range(20)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert {act.subject for act in desk.ledger.acts()} == {f"S-{n}" for n in range(20)}


async def test_an_act_beside_the_desk_is_recorded_while_documents_wait_for_it(desk):
    """The documents wait for the act's turn at the ledger, and the act waits for the desk. In an earlier version, six
    documents held all threads that record acts.
    """
    count, arrived, may_record = 32, 0, threading.Event()

    @web.middleware
    async def counting(request, handler):
        nonlocal arrived
        await request.read()
        arrived += 1
        if arrived == count:
            may_record.set()
        return await handler(request)

    def act() -> None:
        beside = OfficeLedger(desk.folder)
        with beside.locked():
            loop.call_soon_threadsafe(has_turn.set)
            assert may_record.wait(60)
            beside.record("met", "S-9")

    loop, has_turn = asyncio.get_running_loop(), asyncio.Event()
    with desk.ledger.open() as (url, writer), ThreadPoolExecutor(1) as console:
        recording = asyncio.create_task(record_queued_acts(url, writer, DisclosureRules()))
        async with TestClient(TestServer(application(desk, counting))) as member:
            acting = loop.run_in_executor(console, act)
            await has_turn.wait()
            answers = await asyncio.gather(*(member.post(PATH, data=note(f"S-{n}")) for n in range(count)), acting)
        recording.cancel()
    assert {each.status for each in answers if each is not None} == {200}
    assert {act.subject for act in desk.ledger.acts()} == {f"S-{n}" for n in range(count)} | {"S-9"}


def test_a_member_sends_over_http_and_the_office_records_beside_it(folder, tmp_path):
    terminal = Terminal()
    settings = tmp_path / "idtone.yaml"
    key_file = tmp_path / "ledger.key"
    replace_private(tmp_path / "ledger.key.sign", b"1" * 32)
    document = tmp_path / "document"
    document.write_bytes(sign_document("unheard-of", "m-0001", {}, SIGNER, NOW))
    (tmp_path / "desk.yaml").write_text("log: {format: json}\n")
    with (tmp_path / "log").open("wb") as log, running_desk(folder, "-c", tmp_path / "desk.yaml", log=log) as url:
        settings.write_text(
            f"node: pbx-1\nassociation: {{member: m-0001, desk: '{url}'}}\nledger: {{key_file: {key_file}}}\n"
        )
        assert terminal.output("document", "key", "-c", settings).strip() == str(SIGNER.key)
        error = terminal.error("document", "send", document, "-c", settings)
        assert "the desk refuses the document: the desk does not know documents of the kind" in error
        OfficeLedger(folder).record("met", "S-9", minutes=30)
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(each["level"], each["message"].partition(":")[0]) for each in records] == [("warning", "refused")]
    [act] = OfficeLedger(folder).acts()
    assert (act.act, act.details) == ("met", {"minutes": 30})
    assert terminal.json("ledger", "verify", "-c", OfficeLedger(folder).settings_file)["faults"] == []


def test_a_copied_ledger_is_continued_and_its_acts_stay_readable(tmp_path):
    terminal = Terminal()
    ledger = OfficeLedger(tmp_path)
    ledger.record("met", "S-1")
    file = tmp_path / "ledger/ledger.sqlite3"
    shutil.copy(file, tmp_path / "copy")
    os.replace(tmp_path / "copy", file)
    terminal.output("restore", "--here", "--offline", "-c", ledger.settings_file)
    assert [act.subject for act in ledger.acts()] == ["S-1"], "before the next one is begun"
    second = ledger.record("met", "S-2")
    assert [act.subject for act in ledger.acts()] == ["S-1", "S-2"]
    assert ledger.knows(ledger.acts()[0].id)
    assert (ledger.knows(second), ledger.knows("none")) == (True, False)
    assert terminal.json("ledger", "verify", "-c", ledger.settings_file)["faults"] == []


def test_half_requests_and_other_names_do_not_stop_the_desk(desk, monkeypatch):
    """In an earlier version, 1,100 half requests stopped it, and it answered to any host name."""
    monkeypatch.setattr(desk_server, "ConnectionLimits", lambda: ConnectionLimits(20))
    with desk_in_thread(desk) as address, ExitStack() as opened:
        host, port = urlsplit(address).hostname, urlsplit(address).port
        for _ in range(60):
            half = opened.enter_context(socket.create_connection((host, port), 10))
            half.sendall(b"POST /documents HTTP/1.1\r\nHost: ")

        def status(name: str, method: str = "GET") -> tuple[int, str | None]:
            connection = HTTPConnection(host, port, timeout=60)
            connection.request(method, "/report/keys", headers={"Host": name})
            answer = connection.getresponse()
            connection.close()
            return answer.status, answer.getheader("Server")

        for name in (f"127.0.0.1:{port}", f"LOCALHOST:{port}"):
            assert status(name) == (200, "idtone")
        for name in ("evil.example", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
            assert status(name) == (421, "idtone")
        assert status(f"127.0.0.1:{port}", "PUT") == (405, "idtone")
    assert _hosts("::1", 1, ("Desk.example",)) == {"[::1]:1", "localhost:1", "desk.example"}
    assert _hosts("127.0.0.1", 80, ()) == {"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"}
    assert (_hosts("0.0.0.0", 1, ()), _hosts("::", 1, ("d.example",))) == (None, {"d.example"})

"""The desk: documents over HTTP from a member's command line, each kept once, each a leaf of the office's ledger."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.authority.desk.desk import Accepted, Desk
from idtone.authority.desk.office_ledger import OfficeLedger
from idtone.correspondence.signed_document import signed
from idtone.errors import TrustError
from idtone.signed_notes import Signer

from ...lab.asterisk import IDTONE
from ...registry.examples import GOOD
from .desk_process import running

SIGNER = Signer("m-0001/pbx-1", b"1" * 32)
NOW = datetime.now(UTC)


def judged(desk: Desk, document, now) -> Accepted:
    if "refuse" in document.content:
        raise TrustError(str(document.content["refuse"]))
    return Accepted(document.content["subject"], {"seen": document.member})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An authority's folder; the registry names a key of its first member."""
    found = tmp_path / "authority"
    found.mkdir()
    at = GOOD.index("    licences:")
    text = GOOD[:at] + f"    keys: ['{SIGNER.key}']\n" + GOOD[at:]
    (found / "registry.yaml").write_text(text.partition("suspensions:")[0])
    return found


@pytest.fixture
def desk(folder: Path) -> Desk:
    return Desk(folder, {"note": judged})


def note(subject: str, at: datetime = NOW, **more) -> bytes:
    return signed("note", "m-0001", {"subject": subject, **more}, SIGNER, at)


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
        (signed("other", "m-0001", {}, SIGNER, NOW), "does not know documents of the kind 'other'"),
        (signed("note", "m-0002", {"subject": "S-1"}, SIGNER, NOW), "not signed by a key"),
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


def test_a_member_sends_over_http_and_the_office_records_beside_it(folder, tmp_path):
    settings = tmp_path / "idtone.yaml"
    key_file = tmp_path / "ledger.key"
    seed = key_file.with_name("ledger.key.sign")
    seed.write_bytes(b"1" * 32)
    seed.chmod(0o600)
    document = tmp_path / "document"
    (tmp_path / "desk.yaml").write_text("log: {format: json}\n")
    with (tmp_path / "log").open("wb") as log, running(folder, "-c", tmp_path / "desk.yaml", log=log) as url:
        settings.write_text(
            f"node: pbx-1\nassociation: {{member: m-0001, desk: '{url}'}}\nledger: {{key_file: {key_file}}}\n"
        )

        def member(*arguments: object) -> subprocess.CompletedProcess[str]:
            command = [IDTONE, "desk", *map(str, arguments), "-c", str(settings)]
            return subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=30, check=False)

        assert member("key").stdout.strip() == str(SIGNER.key)
        document.write_bytes(signed("unheard-of", "m-0001", {}, SIGNER, NOW))
        refused = member("send", document)
        assert refused.returncode == 2
        assert "the desk refuses the document: the desk does not know documents of the kind" in refused.stderr
        OfficeLedger(folder).record("met", "S-9", minutes=30)
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(each["level"], each["message"].partition(":")[0]) for each in records] == [("warning", "refused")]
    [act] = OfficeLedger(folder).acts()
    assert (act.act, act.details) == ("met", {"minutes": 30})
    checked = subprocess.run(
        [IDTONE, "ledger", "verify", "-c", OfficeLedger(folder).settings_file, "--json"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert not json.loads(checked.stdout)["faults"], checked.stdout

"""Packs that the holder of the log's key could seal, but that no ledger of idtone writes."""

import json
import struct
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.disclosure.disclosure_request import DisclosureRequest, RequestAnswer
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.disclosure.pack_rules import PackedLeaf, basis_faults, leaf_faults, time_faults
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from idtone.ledger.disclosure.report_files import remade_report, report_faults, report_files
from idtone.ledger.evidence.leaves import leaf, step_text
from idtone.ledger.store.step_rows import microseconds
from idtone.ledger.tree.checkpoints import Checkpoint
from lab.ledger.disclosure.packs import BASIS, Files, resealed
from lab.ledger.sample_evidence import ALICE, BOB, LOG, NOW, SEED

AT = microseconds(NOW)
MADE = NOW + timedelta(hours=1)
WITNESS = Signer("w.example", bytes(32))


def checkpoint(size: int = 9, root: bytes = bytes(32), cosigned: datetime | None = NOW) -> Note:
    text = Checkpoint(LOG.name, size, root).text
    lines = [Signer(LOG.name, SEED).sign(text)]
    return Note(text, (*lines, *([WITNESS.cosign(text, int(cosigned.timestamp()))] if cosigned else [])))


def content(*told: tuple[int, str], call: str = "c-1", after: int = 0, at: int | float = AT) -> bytes:
    """A leaf with steps (id, kind)."""
    texts = [step_text(number, "pbx-1", kind, at, "{}") for number, kind in told]  # type: ignore[arg-type]
    return leaf(call, texts, after)


WHOLE = content((1, "decided"), (3, "ended"))
LATE = content((5, "sound-failed"), after=2)
LEAVES: dict[str, tuple[list[tuple[int, bytes]], str]] = {
    "good": ([(0, WHOLE), (2, LATE), (3, content((2, "decided"), (6, "ended"), call="c-2"))], ""),
    "after is too small": ([(0, WHOLE), (2, content((5, "sound-failed"), after=1))], "leaf 2: it says that 1 steps"),
    "after is missing": ([(0, WHOLE), (2, content((5, "ended")))], "leaf 2: it says that 0 steps"),
    "a leaf is left out": ([(2, LATE)], "leaf 2: it says that 2 steps"),
    "a leaf twice": ([(0, WHOLE), (0, WHOLE)], "leaf 0 is there twice"),
    "a step twice": (
        [(0, WHOLE), (2, content((3, "sound-failed"), (5, "ended"), call="c-2"))],
        "leaf 2: its step 3 is",
    ),
    "leaves that descend": ([(2, WHOLE), (0, content((5, "ended"), call="c-2"))], "leaf 2: its last step, 3, is not"),
    "steps that descend": ([(0, content((3, "decided"), (1, "ended")))], "leaf 0: its step 1 is in another leaf"),
    "two ends": ([(0, content((1, "ended"), (3, "ended")))], "leaf 0: the call is not over with its last step"),
    "no end": ([(0, content((1, "decided")))], "leaf 0: the call is not over with its last step"),
    "several steps after the end": (
        [(0, WHOLE), (2, content((5, "x"), (6, "x"), after=2))],
        "leaf 2: its call was over",
    ),
    "half a microsecond": ([(0, content((1, "ended"), at=AT + 0.5))], "leaf 0: it is not the canonical JSON of a leaf"),
    "later than the pack": (
        [(0, content((1, "ended"), at=AT + 3_960_000_000))],
        "leaf 0: it is of 2026-11-01 01:06:00.123456+00:00, after the pack was made",
    ),
    "later than the cosignature": (
        [(0, content((1, "ended"), at=AT + 360_000_000))],
        "and w.example has cosigned it at 2026-11-01 00:00:00+00:00",
    ),
}


@pytest.mark.parametrize("name", LEAVES)
def test_leaves_that_no_ledger_writes_are_told(name):
    leaves, fault = LEAVES[name]
    packed = [PackedLeaf(number, each, checkpoint()) for number, each in leaves]
    found = list(leaf_faults(packed, MADE, [WITNESS.cosigner]))
    assert any(fault in each for each in found) if fault else not found, found


def test_two_trees_of_one_size_are_told():
    leaves = [PackedLeaf(0, WHOLE, checkpoint()), PackedLeaf(2, LATE, checkpoint(root=b"x" * 32))]
    assert list(leaf_faults(leaves, MADE, [])) == ["the log has signed two trees of 9 leaves"]


def test_a_cosignature_of_the_year_2199_is_told():
    later = PackedLeaf(0, WHOLE, checkpoint(cosigned=NOW.replace(year=2199)))
    [fault] = leaf_faults([later], MADE, [WITNESS.cosigner])
    assert fault == "w.example has cosigned the tree at 2199-11-01 00:00:00+00:00, after the pack was made"
    assert list(leaf_faults([later], MADE, [])) == []  # who does not know the key cannot say whose it is


def asked(approved_after: timedelta) -> DisclosureRequest:
    request = DisclosureRequest("act-1", NOW, ALICE, "R-7", ("c-1",), False, "", None, BASIS)
    request.approval = RequestAnswer("act-2", NOW + approved_after, BOB, None, "")
    return request


@pytest.mark.parametrize(
    ("basis", "approved_after", "now", "fault"),
    [
        ({}, timedelta(0), NOW, ""),
        ({"valid_until": date(2026, 11, 1)}, timedelta(0), NOW, ""),
        (
            {"valid_until": date(2026, 10, 31)},
            timedelta(0),
            NOW,
            "the warrant was valid until 2026-10-31, and the pack",
        ),
        ({"received": NOW + timedelta(days=1)}, timedelta(0), NOW, "the demand arrived after the pack was made"),
        ({}, timedelta(minutes=-6), NOW, "the approval is older than the request"),
        ({}, timedelta(0), NOW - timedelta(days=2), "the pack says that it was made in the future"),
    ],
)
def test_times_that_cannot_be_are_told(basis, approved_after, now, fault):
    found = list(time_faults(MADE, replace(BASIS, **basis), asked(approved_after), now))
    assert [each[: len(fault)] for each in found] == [fault] * bool(fault)


@pytest.mark.parametrize(
    ("name", "text", "is_good"),
    [
        ("basis", "warrant", True),
        ("basis", "wаrrant", False),
        ("basis", "ｗａｒｒａｎｔ", False),
        ("law", "令状 / warrant", True),
        ("law", "令状 / wаrrant", False),
        ("law", "令状(刑事訴訟法 第218条)", True),
        ("authority", "警視庁 捜査第二課", True),
        ("authority", "\uf9b4署", False),  # a compatibility ideograph
        ("scope", "α波 と Ωの記録", True),
        ("reference", "照会 第7号", True),
    ],
)
def test_a_basis_that_looks_like_another_is_told(name, text, is_good):
    assert (not list(basis_faults({name: text}))) is is_good


# -- reports, profiles, the ZIP file ------------------------------------------------------------------------------


@pytest.fixture
def told_pack(files: Files) -> Files:
    """A pack with a profile, in the form that exports write."""
    played = next(
        step["details"]["sha256"]
        for name, octets in files.items()
        if name.startswith("leaves/")
        for step in json.loads(octets)["steps"]
        if step["kind"] == "sound-started"
    )
    profile = {"id": "sample", "title": "<見本>", "played_sha256": played}
    return with_files(files, {"profiles/sample.json": json.dumps(profile).encode()})


def with_files(files: Files, other: Files) -> Files:
    """The pack with the given files, sealed again by the holder of the key."""
    digests = {name: sha256(octets).hexdigest() for name, octets in other.items()}
    return resealed({**files, **other}, lambda manifest: manifest["files"].update(digests))


def test_reports_that_say_what_the_leaves_do_not_are_told(told_pack):
    good = with_files(told_pack, report_files(remade_report(told_pack, verify_pack_files(told_pack, LOG))))
    verdict = verify_pack_files(good, LOG)
    assert verdict.faults == []
    assert list(report_faults(good, verdict)) == []
    another = resealed(told_pack, lambda manifest: manifest.update(case="R-8"))
    for path, octets in report_files(remade_report(another, verify_pack_files(another, LOG))).items():
        false = with_files(good, {path: octets})
        verdict = verify_pack_files(false, LOG)
        assert verdict.faults == []
        [fault] = report_faults(false, verdict)
        assert fault.startswith(f"{path} does not say what the leaves say")


def test_a_node_alone_verifies_a_pack_but_for_its_paper(told_pack, monkeypatch):
    """ReportLab is missing, because only the extra `office` installs it."""
    good = with_files(told_pack, report_files(remade_report(told_pack, verify_pack_files(told_pack, LOG))))
    monkeypatch.delitem(sys.modules, "idtone.core.paper.pdf")
    monkeypatch.setitem(sys.modules, "reportlab", None)
    monkeypatch.setitem(sys.modules, "reportlab.lib.colors", None)
    verdict = verify_pack_files(good, LOG)
    assert list(report_faults(good, verdict)) == []
    assert verdict.not_compared == ("report.pdf",)
    false = with_files(good, {"report.html": b"x"})
    assert [fault.partition(" ")[0] for fault in report_faults(false, verify_pack_files(false, LOG))] == ["report.html"]


@pytest.mark.parametrize(
    "profile", [b"{}", b"[]", b"x", b'{"id":"sample","played_sha256":"00"}', b'{"id":"other","played_sha256":"00"}']
)
def test_a_profile_of_another_sound_is_told(told_pack, profile):
    false = with_files(told_pack, {"profiles/sample.json": profile})
    assert list(report_faults(false, verify_pack_files(false, LOG))) == [
        "profiles/sample.json is not the profile of a sound that was played"
    ]


@pytest.mark.parametrize(
    ("at", "octets"),
    [
        (4, b"\x0a\x00"),  # another version
        (6, b"\x08\x00"),  # the sizes come behind the file
        (8, b"\x00\x00"),  # stored
        (10, b"\x01\x00"),  # another time
        (14, b"\0\0\0\0"),  # no CRC
        (18, struct.pack("<I", 1)),
        (22, struct.pack("<I", 1)),
        (0, b"PK\x07\x08"),
    ],
)
def test_a_header_before_a_file_that_differs_from_the_list_is_told(files, tmp_path: Path, at, octets):
    """A program that reads the ZIP file from its start would see another pack."""
    path = tmp_path / "x"
    write_zip(path, files)
    changed = bytearray(path.read_bytes())
    assert changed[at : at + len(octets)] != octets
    changed[at : at + len(octets)] = octets
    path.write_bytes(bytes(changed))
    with pytest.raises(LedgerError):
        read_zip(path)

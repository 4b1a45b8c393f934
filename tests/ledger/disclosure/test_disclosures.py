"""Receipts and confirmations: those that may be recorded, and the index and figures of a year."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from idtone.core.paper.html import as_html
from idtone.ledger.disclosure.disclosure_index import TOTAL, BasisFigures, disclosure_index, figures
from idtone.ledger.disclosure.disclosure_papers import index_paper, receipt_sheet
from idtone.ledger.disclosure.disclosure_request import RequestState
from idtone.ledger.disclosure.disclosures import disclosures_in, receipt_objection
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step
from lab.ledger.disclosure.legal_bases import make_legal_basis
from lab.ledger.sample_evidence import ALICE, BOB, LOG, NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TODAY = date(2026, 11, 1)
PACK = "ab" * 32
SCAN = {"scan": "0f" * 32}


def exported(act: str = "act-4", basis: str = "emergency", at=NOW, request: str | None = None) -> Step:
    approved = (request, "5e" * 32) if request else None
    return steps.exported(act, at, ALICE, "R-7", 2, False, PACK, approved, make_legal_basis(basis).details())


def received(on=TODAY, export="act-4", sha256=PACK, receiver="見本警察署 係長", proof=SCAN, act="act-5") -> Step:
    return steps.export_received(act, NOW + HOUR, BOB, export, sha256, receiver, on, proof)


def confirmed(on=TODAY, export="act-4", reference="見本 第8号") -> Step:
    return steps.export_confirmed("act-6", NOW + 2 * HOUR, BOB, export, reference, on)


ATTACKS = [
    ([], received(sha256="cd" * 32), "of another pack"),
    ([], received(export="act-9"), "there is no disclosure act-9"),
    ([received()], received(act="act-7"), "has a receipt already: act-5"),
    ([], received(on=TODAY - DAY), "is before the disclosure"),
    ([], received(on=TODAY + DAY), "in the future"),
    ([], received(proof={"scan": "x"}), "neither a scan nor a signature"),
    ([], received(proof={"signature": "0f" * 32}), "neither a scan nor a signature"),
    ([], received(proof={"note": "0f" * 32}), "neither a scan nor a signature"),
    ([], received(receiver="0312345678"), "--by holds what may be a telephone number"),
    ([], received(receiver=" "), "--by needs 1 to"),
    ([confirmed()], confirmed(), "is confirmed already: act-6"),
    ([], confirmed(reference="090-1234-5678"), "--reference holds what may be"),
    ([], confirmed(on=TODAY + DAY), "in the future"),
    ([exported("act-8", "warrant")], confirmed(export="act-8"), "needs no confirmation"),
    ([], Step("act-5", received().kind, NOW, {}), "KeyError"),
    ([], replace(received(), details={**received().details, "received": "today"}), "ValueError"),
]


@pytest.mark.parametrize(("before", "act", "why"), ATTACKS)
def test_what_may_not_be_is_objected_to(before, act, why):
    known = disclosures_in([exported(), *before])
    assert why in (receipt_objection(act, known, NOW + 3 * HOUR) or "")
    if "--by" not in why and "--reference" not in why:
        assert disclosures_in([exported(), *before, act]) == known, "in the ledger it counts for nothing"


def test_a_disclosure_is_overdue_until_it_is_confirmed():
    [made] = disclosures_in([exported()]).values()
    assert not made.overdue(date(2026, 11, 4))
    assert made.overdue(date(2026, 11, 5))
    [made] = disclosures_in([exported(), received(), confirmed()]).values()
    assert made.receipt
    assert made.confirmation
    assert (made.receipt.receiver, made.confirmation.reference) == ("見本警察署 係長", "見本 第8号")
    assert not made.overdue(date(2027, 1, 1))
    assert not next(iter(disclosures_in([exported(basis="warrant")]).values())).overdue(date(2027, 1, 1))


def asked(act: str) -> Step:
    basis = make_legal_basis("warrant").details()
    return steps.export_requested(act, NOW, ALICE, "R-8", ["c-1"], False, "5e" * 32, NOW + 9 * DAY, basis)


ACTS = [
    exported(),
    received(),
    asked("act-10"),
    steps.export_refused("act-11", NOW + HOUR, BOB, "act-10", "not ours to give"),
    asked("act-12"),
    exported("act-13", "warrant", NOW + 400 * DAY),
    Step("act-14", exported().kind, NOW, {}),
]


def test_the_index_has_each_disclosure_and_request_of_the_year_of_japan_once():
    now = NOW + 5 * DAY
    found = disclosure_index(ACTS, 2026, now)
    assert [(each.act, each.state) for each in found] == [
        ("act-4", RequestState.EXPORTED),
        ("act-10", RequestState.REFUSED),
        ("act-12", RequestState.OPEN),
    ]
    told = found[0].to_json(date(2026, 11, 6))
    assert (told["overdue"], told["receipt"]["scan"], told["basis"]["why"]) == (True, "0f" * 32, "a life is in danger")
    assert found[1].to_json(TODAY)["refusal"] == "not ours to give"
    assert found[1].persons()["refused"] == "bob"
    assert [each.act for each in disclosure_index(ACTS, 2027, now)] == ["act-13"]
    page = as_html(index_paper(2026, found, figures(found), now)).decode()
    for text in ("act-4", "見本警察署 係長 (写し / scan)", "期限超過 / overdue", "bob: not ours to give", "&lt;5"):
        assert text in page, text


@pytest.mark.parametrize(
    ("emergencies", "warrants", "rows"),
    [
        (0, 0, [(TOTAL, 0, 0, 0)]),
        (4, 5, [("emergency", None, 0, None), ("warrant", 5, 0, 10), (TOTAL, None, 0, None)]),
        (5, 7, [("emergency", 5, 0, 10), ("warrant", 7, 0, 14), (TOTAL, 12, 0, 24)]),
    ],
)
def test_small_counts_are_suppressed_and_nothing_gives_them_away(emergencies, warrants, rows):
    acts = [exported(f"act-e{n}") for n in range(emergencies)]
    acts += [exported(f"act-w{n}", "warrant") for n in range(warrants)]
    assert figures(disclosure_index(acts, 2026, NOW)) == [BasisFigures(*row) for row in rows]


def test_the_receipt_names_the_pack_and_has_room_to_sign():
    [made] = disclosures_in([exported()]).values()
    page = as_html(receipt_sheet(made, "pack.zip", "cd" * 32, str(LOG), NOW)).decode()
    for text in (PACK, "cd" * 32, "act-4", "緊急避難", "見本警察署", "官職・氏名", "記名押印", "I have received"):
        assert text in page, text

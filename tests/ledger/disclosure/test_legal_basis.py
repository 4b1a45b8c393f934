"""Legal bases: the requirements of each, and every way around them."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from idtone.core.errors import DocumentError, UsageError
from idtone.core.yaml_documents import parse
from idtone.ledger.disclosure.disclosure_request import DisclosureRules, objection, requests
from idtone.ledger.disclosure.legal_basis import (
    BASIS_DETAILS,
    TEXT_LIMIT,
    BasisFact,
    LegalBases,
    LegalBasis,
    basis_objection,
    load_legal_bases,
)
from idtone.ledger.evidence import steps
from lab.ledger.disclosure.legal_bases import BASES, DAY, make_legal_basis
from lab.ledger.sample_evidence import ALICE, NOW

TABLE = [
    ("inquiry", {}, True, None),
    ("inquiry", {}, False, "does not open telephone numbers"),
    ("inquiry", {"authority": None}, True, "needs --authority"),
    ("inquiry", {"reference": None}, True, "needs --reference"),
    ("inquiry", {"court": None, "valid_until": None, "why": None, "deadline": None}, True, None),
    ("warrant", {}, False, None),
    ("warrant", {"court": None, "valid_until": None}, False, "needs --court, --valid-until"),
    ("warrant", {"valid_until": DAY - timedelta(days=1)}, False, "was valid until 2026-10-31 only"),
    ("emergency", {}, False, None),
    ("emergency", {"reference": None}, False, None),
    ("emergency", {"why": None}, False, "needs --why"),
    ("consent", {}, True, None),
    ("consent", {}, False, "does not open telephone numbers"),
    ("consent", {"scope": None, "received": None}, True, "needs --scope, --received"),
    ("association", {"authority": None, "scope": None, "received": None}, True, None),
    ("association", {}, False, "does not open telephone numbers"),
    ("association", {"reference": None}, True, "needs --reference"),
    ("warrant", {"received": NOW + timedelta(seconds=1)}, False, "received in the future"),
]


@pytest.mark.parametrize(("basis", "changes", "sealed", "why"), TABLE)
def test_what_each_basis_needs(basis, changes, sealed, why):
    found = basis_objection(make_legal_basis(basis, **changes), sealed, BASES, NOW)
    assert (found is None) if why is None else (found and why in found), found


def test_the_writer_refuses_what_the_rules_do_not_make():
    emergency = make_legal_basis("emergency")
    assert emergency.confirm_by == date(2026, 11, 4), "P3D after the receipt, in Japan"
    for basis in (
        None,
        replace(emergency, confirm_by=date(2027, 1, 1)),
        replace(emergency, confirm_by=None),
        replace(emergency, law="by the way"),
        replace(emergency, basis="curiosity"),
    ):
        assert basis_objection(basis, False, BASES, NOW), basis


NUMBERS = [
    "03-1234-5678の通話", "０９０１２３４５６７８", "+81 3 1234 5678", "090 1234 5678", "〇九〇一二三四五六七八",
    "0312345678", "050(3123)4567", "A-0312345678",
]  # fmt: skip


@pytest.mark.parametrize("name", ["authority", "reference", "scope", "court", "why"])
def test_a_telephone_number_in_a_text_is_refused(name):
    for text in NUMBERS:
        with pytest.raises(UsageError, match=f"--{name} holds what may be a telephone number") as caught:
            make_legal_basis("warrant", **{name: text})
        assert text not in str(caught.value)
    assert basis_objection(replace(make_legal_basis("warrant"), **{name: NUMBERS[0]}), False, BASES, NOW)
    for text in ("令和8年(わ)第1234号", "第2026-118号", "2026-11-26 10:00 から 2026-11-27 まで"):
        assert make_legal_basis("warrant", **{name: text})
    for text in ("", " ", "x" * (TEXT_LIMIT + 1), "two\nlines"):
        with pytest.raises(UsageError, match=f"--{name} needs 1 to 300"):
            make_legal_basis("warrant", **{name: text})


def test_the_writer_judges_case_and_basis_of_a_request():
    rules = DisclosureRules(bases=BASES)

    def asked(case: str = "R-7", sealed: bool = True, **changes: object) -> str | None:
        details = {**make_legal_basis("inquiry").details(), **changes}
        until = NOW + timedelta(days=7)
        step = steps.export_requested("act-1", NOW, ALICE, case, ["c-1"], sealed, "5e" * 32, until, details)
        assert objection(step, {}, DisclosureRules()) is None or changes, "what is in the ledger is not judged again"
        return objection(step, {}, rules)

    assert asked() is None
    for objected, words in (
        (asked(case="0312345678"), "telephone number"),
        (asked(sealed=False), "does not open"),
        (asked(law="x"), "not as in ledger.legal_bases"),
        (asked(deadline="soon"), "ValueError"),
        (asked(received="2026-11-01T00:00:00"), "ValueError"),
        (asked(scope=7), "ValueError"),
    ):
        assert words in (objected or "")


def test_details_are_read_as_they_were_written():
    basis = make_legal_basis("emergency")
    assert set(basis.details()) == BASIS_DETAILS
    assert LegalBasis.of({**basis.details(), "by": "alice"}) == basis
    assert LegalBasis.of({"by": "alice"}) is None
    assert set(BasisFact) <= BASIS_DETAILS
    request = steps.export_requested("act-1", NOW, ALICE, "R", ["c"], False, "5e" * 32, NOW, basis.details())
    assert requests([request])["act-1"].basis == basis


def test_a_file_of_ones_own_is_read_and_its_faults_have_places(tmp_path: Path):
    own = tmp_path / "bases.yaml"
    own.write_text("bases: {audit: {ja: 監査, en: audit, needs: [authority], numbers: sealed, confirm: P7D}}")
    assert load_legal_bases(own).bases["audit"].law == "監査 / audit"
    for text, fault in (
        ("bases: {}", "bases"),
        ("bases:\n  Audit: {ja: a, en: b, needs: [], numbers: sealed}", ":2:3: "),
        ("bases:\n  audit: {ja: a, en: b, needs: [name], numbers: sealed}", "bases.audit.needs[0]"),
        ("bases:\n  audit: {ja: a, en: b, needs: [], numbers: shown}", "bases.audit.numbers"),
        ("bases:\n  audit: {ja: a, en: b, needs: [], numbers: sealed, confirm: PT1H}", "bases.audit.confirm"),
    ):
        with pytest.raises(DocumentError) as caught:
            parse(text, "bases.yaml", LegalBases)
        assert fault in str(caught.value), str(caught.value)

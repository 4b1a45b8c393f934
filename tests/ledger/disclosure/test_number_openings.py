"""Each look at telephone numbers, with its reason, is in the ledger; the numbers are not."""

import json

import pytest

from idtone.core.errors import LedgerError
from idtone.core.numbers import parse
from idtone.core.persons import AccountKnownBy, Person
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.number_openings import opening_objection, purpose_objection, search_act
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence.steps import Step, StepKind, numbers_opened
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.ledger.sample_evidence import CALLER, NOW, days_of, heard_call, key_ring_of
from lab.ledger.sample_ledger import verification_faults, write

SATO = Person(998, "sato", AccountKnownBy.CONSOLE)
PURPOSE = "照会 2026-7"


@pytest.mark.parametrize(
    ("purpose", "says"),
    [
        (PURPOSE, None),
        ("x" * 300, None),
        ("", "needs 1 to 300"),
        (" ", "needs 1 to 300"),
        ("x" * 301, "needs 1 to 300"),
        ("two\nlines", "needs 1 to 300"),
        ("the calls of 03-1234-5678", "may be a telephone number"),
    ],
)
def test_a_purpose_is_words_that_may_stay_for_ever(purpose, says):
    objection = purpose_objection(purpose)
    assert (objection is None) if says is None else (says in str(objection))
    act = numbers_opened("act-1", NOW, SATO, purpose, "c-1")
    assert opening_objection(act) == objection


def test_an_act_without_a_person_or_a_purpose_is_none():
    for missing in ("by", "by_uid", "by_way", "purpose"):
        act = numbers_opened("act-1", NOW, SATO, PURPOSE, "c-1")
        details = {name: value for name, value in act.details.items() if name != missing}
        assert opening_objection(Step("act-1", StepKind.NUMBERS_OPENED, NOW, details)), missing


def test_a_search_leaves_a_token_and_no_number(url):
    write(url, heard_call())
    ring, number = key_ring_of(url), parse(CALLER)
    act_id = record_act(
        url, "pbx-1", ring, lambda act: search_act(act, NOW, SATO, PURPOSE, number, ring.days), DisclosureRules()
    )
    with LedgerReader.open(url, days_of(url)) as reader:
        record = reader.record(act_id)
        (found,) = reader.find(number)
    assert record is not None
    details = record.steps[0].details
    assert (details["by"], details["by_way"], details["purpose"]) == ("sato", "console", PURPOSE)
    day = ring.days.get(str(details["number_day"]))
    assert day is not None
    assert details["number_token"] == day.token(number)
    assert number.e164.removeprefix("+81") not in json.dumps(dict(details))
    assert found.call_id == "c-1"  # the token of the act leads no search astray
    assert verification_faults(url) == []


def test_in_a_ledger_without_calls_the_act_has_no_token(url):
    assert "number_token" not in search_act("act-1", NOW, SATO, PURPOSE, parse(CALLER), days_of(url)).details


def test_what_may_not_be_recorded_is_not(url):
    write(url, heard_call())
    with pytest.raises(LedgerError, match="this is not recorded: The purpose needs"):
        record_act(
            url, "pbx-1", key_ring_of(url), lambda act: numbers_opened(act, NOW, SATO, "", "c-1"), DisclosureRules()
        )

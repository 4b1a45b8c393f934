"""Portings in the authority's folder: numbers pass from one member to another."""

import pytest

from idtone.registry.parsers import parse_registry
from lab.office.authority.office import WHY

NUMBERS = "03-1234-5600-03-1234-5619"
LATER, PAST = ("--at", "2199-12-01"), ("--at", "2026-01-01T00:00:00+09:00")


def held(office) -> list[tuple[str, ...]]:
    document = parse_registry(office.registry.read_text(), "")
    return [member.numbers for member in document.members]


def test_a_porting_is_recorded_and_removed_before_its_day(office):
    before = held(office)
    told = office.json("number port", "m-0001", "m-0002", *LATER, *WHY, typed=NUMBERS)
    words = "m-0001 > m-0002 at 2199-12-01T00:00:00+09:00"
    assert (told["action"], told["subject"]) == ("port-number", "m-0002")
    assert told["what"] == [f"the porting of …5600 to …5619 (20 numbers) is new: {words}"]
    assert "overlaps portings[0].numbers" in office.refused(
        "number port", "m-0001", "m-0002", *LATER, *WHY, typed="0312345610"
    )
    assert "have no porting" in office.refused("number end-porting", *WHY, typed="0312345600")
    told = office.json("number end-porting", *WHY, typed=NUMBERS)
    assert told["what"] == [f"the porting of …5600 to …5619 (20 numbers) is removed: {words}"]
    assert held(office) == before
    assert office.json("publication publish", *office.all_keys())["signed"] == [
        "registry",
        "snapshot",
        "timestamp",
    ]


def test_after_its_day_the_numbers_are_entered_with_their_new_holder(office):
    office.json("number port", "m-0001", "m-0002", *PAST, *WHY, typed=NUMBERS)
    assert "12345" not in str(office.json("history show")[-1])
    told = office.json("number end-porting", *WHY, typed=NUMBERS)
    assert [words.partition(":")[0] for words in told["what"]] == [
        "member m-0001",
        "member m-0002",
        "the porting of …5600 to …5619 (20 numbers) is removed",
    ]
    first, second = held(office)
    assert "0312345620-0312345699" in first
    assert "0312345600-0312345619" in second
    assert parse_registry(office.registry.read_text(), "").portings == ()


def test_numbers_that_the_new_holder_already_has_stay_with_the_one_that_holds_them_now(office):
    office.json("number port", "m-0002", "m-0001", *LATER, *WHY, typed=NUMBERS)
    office.json("number end-porting", *WHY, typed=NUMBERS)
    assert "0312345600-0312345619" in held(office)[1]


@pytest.mark.parametrize(
    ("arguments", "typed", "error"),
    [
        (("m-0001", "m-0009", *LATER), NUMBERS, "no member 'm-0009'"),
        (("m-0001", "m-0001", *LATER), NUMBERS, "is the member that hands them over"),
        (("m-0001", "m-0002", *LATER), "0399999999", "neither all in the ranges of m-0001"),
        (("m-0001", "m-0002", *LATER), "0312345600, 0312345601", "one entry of numbers"),
        (("m-0001", "m-0002", *LATER), "0312", "not a Japanese telephone number"),
        (("m-0001", "m-0002", "--at", "tomorrow"), NUMBERS, "--at is not a day or a moment"),
        (("m-0001", "m-0002", "--at", "2199-12-01T00:00:00"), NUMBERS, "--at has no time zone"),
    ],
)
def test_what_is_refused(office, arguments, typed, error):
    assert error in office.refused("number port", *arguments, *WHY, typed=typed)


def test_a_suspension_forbids_a_porting(office):
    asked = ("--reference", "R-8", "--requested", "2026-11-02T01:10:00+09:00", *WHY)
    office.json("member refuse-numbers", "m-0002", *asked, typed="m-0002\nm-0002\n")
    refused = office.refused("number port", "m-0001", "m-0002", *LATER, *WHY, typed=NUMBERS)
    assert "gets no new numbers" in refused

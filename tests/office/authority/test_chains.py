"""Wholesale chains in the authority's folder: adding, checking and removing links."""

import pytest

from idtone.registry.parsers import parse_registry
from lab.office.authority.office import WHY

HELD = "03-1234-5600-03-1234-5619"
CHECK = ("--checked", "2026-04-01", "--document", "認定通知書")


def test_from_the_first_link_to_none(office):
    before = office.registry.read_text().partition("chains:")[0]
    office.registry.write_text(
        f"{before}  - {{id: m-0003, name: {{ja: 甲, en: A}}}}\n".replace("version: 42", "version: 43")
    )
    office.json("history note", *WHY)
    told = office.json("chain add", "m-0001", "m-0002", *CHECK, *WHY, typed=HELD)
    words = "m-0001 > m-0002 (checked 2026-04-01 by m-0001: 認定通知書)"
    assert (told["action"], told["subject"]) == ("add-link", "m-0002")
    assert told["what"] == [f"the wholesale chain of …5600 to …5619 (20 numbers) is new: {words}"]
    office.json("chain add", "m-0002", "m-0003", *WHY, typed="0312345600-0312345619")
    [chain] = parse_registry(office.registry.read_text(), "").chains
    assert [(link.wholesaler, link.reseller, bool(link.checked)) for link in chain.links] == [
        ("m-0001", "m-0002", True),
        ("m-0002", "m-0003", False),
    ]
    for day in ("2026-05-01", "2026-06-01"):
        office.json("chain check", "m-0003", "--checked", day, "--document", "D", "--by", "m-0002", typed=HELD)
    [chain] = parse_registry(office.registry.read_text(), "").chains
    assert (str(chain.links[1].checked.day), chain.links[1].checked.by) == ("2026-06-01", "m-0002")
    assert "has handed these numbers on" in office.refused("chain remove", "m-0002", *WHY, typed=HELD)
    assert "does not hold" in office.refused("number release", "m-0001", *WHY, typed="0312345610")
    office.json("chain remove", "m-0003", *WHY, typed=HELD)
    told = office.json("chain remove", "m-0002", *WHY, typed=HELD)
    assert told["what"] == [f"the wholesale chain of …5600 to …5619 (20 numbers) is removed: {words}"]
    assert parse_registry(office.registry.read_text(), "").chains == ()
    entries = office.json("history show")[-6:]
    assert [entry["action"] for entry in entries] == [
        "add-link", "add-link", "check-link", "check-link", "remove-link", "remove-link"
    ]  # fmt: skip
    assert not any("12345" in str(entry) for entry in entries)
    assert office.json("publication publish", *office.all_keys())["signed"] == [
        "registry",
        "snapshot",
        "timestamp",
    ]


@pytest.mark.parametrize(
    ("arguments", "typed", "error"),
    [
        (("chain add", "m-0002", "m-0001"), HELD, "chains[0].numbers: has numbers that m-0002"),
        (("chain add", "m-0001", "m-0009"), HELD, "names the member 'm-0009'"),
        (("chain add", "m-0001", "m-0001"), HELD, "is in the chain already"),
        (("chain add", "m-0001", "m-0002"), "0312345600, 0312345601", "one entry of numbers"),
        (("chain add", "m-0001", "m-0002"), "0312", "not a Japanese telephone number"),
        (("chain add", "m-0001", "m-0002"), "", "no number was given"),
        (("chain add", "m-0001", "m-0002", "--checked", "2026-04-01"), HELD, "--checked and --document go together"),
        (("chain add", "m-0001", "m-0002", "--by", "m-0001"), HELD, "--by only with them"),
        (("chain add", "m-0001", "m-0002", *CHECK, "--by", "m-0002"), HELD, "is m-0002, which is not above m-0002"),
        (("chain add", "m-0001", "m-0002", "--checked", "2199-01-01", "--document", "D"), HELD, "is in the future"),
        (("chain check", "m-0002", *CHECK, "--by", "m-0001"), HELD, "these numbers have no wholesale chain"),
        (("chain remove", "m-0002"), HELD, "these numbers have no wholesale chain"),
    ],
)
def test_what_is_refused(office, arguments, typed, error):
    assert error in office.refused(*arguments, *WHY, typed=typed)


def test_a_link_continues_the_chain_at_its_end(office):
    office.json("chain add", "m-0001", "m-0002", *WHY, typed=HELD)
    assert "ends with m-0002; add the link from it" in office.refused("chain add", "m-0001", "m-0002", *WHY, typed=HELD)
    assert "has no link to 'm-0001'" in office.refused("chain remove", "m-0001", *WHY, typed=HELD)
    assert "overlaps chains[0].numbers" in office.refused("chain add", "m-0001", "m-0002", *WHY, typed="0312345600")


def test_a_suspension_forbids_a_link(office):
    asked = ("--reference", "R-8", "--requested", "2026-11-02T01:10:00+09:00", *WHY)
    office.json("member refuse-numbers", "m-0002", *asked, typed="m-0002\nm-0002\n")
    assert "gets no new numbers" in office.refused("chain add", "m-0001", "m-0002", *WHY, typed=HELD)

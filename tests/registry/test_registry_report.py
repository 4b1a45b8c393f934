"""Reports on a registry."""

from datetime import UTC, datetime, timedelta

from idtone.registry.index import RegistryIndex
from idtone.registry.registry_report import counts, member_lines, member_report, registry_lines, registry_report
from idtone.registry.sources import parse_document
from lab.registry.examples import GOOD, with_numbers

DOCUMENT = parse_document(GOOD, "registry.yaml")
VALID_FROM = datetime(2026, 1, 9, 15, tzinfo=UTC)
VALID_UNTIL = datetime(2037, 1, 9, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_state_of_a_licence_now():
    states = [member_report(DOCUMENT.members[0], now)["licences"][0]["state"] for now in (VALID_FROM, VALID_UNTIL)]
    assert states == ["licence-valid", "licence-expired"]


def test_without_a_pledge_in_force_no_licence_is_valid():
    for pledge, in_force in (("signed: 2026-01-05", True), ("signed: 2026-01-05, until: 2026-12-01", False)):
        document = parse_document(GOOD.replace("signed: 2026-01-05", pledge), "registry.yaml")
        told = member_report(document.members[0], VALID_UNTIL - SECOND)
        state = "licence-valid" if in_force else "pledge-missing"
        assert (told["pledge_in_force"], told["licences"][0]["state"]) == (in_force, state)
        assert ("(not in force" in "".join(member_lines(told))) == (not in_force)


def test_an_expired_registry_and_a_future_suspension():
    early, late = (
        registry_report(DOCUMENT, datetime(year, month, 1, tzinfo=UTC), RegistryIndex(DOCUMENT))
        for year, month in ((2026, 2), (2037, 1))
    )
    assert (early["expired"], early["suspensions"][0]["in_force"]) == (False, False)
    assert (late["expired"], late["suspensions"][0]["in_force"]) == (True, True)
    assert any("(not in force)" in line for line in registry_lines(early))
    assert any("(has expired)" in line for line in registry_lines(late))


def test_a_number_counts_once():
    for entries, numbers in (
        ([], 0),
        (["0312345678"], 1),
        (["0612345*", "0612345678"], 1000),
        (["0612345678", "0612345*", "0612346000"], 1001),
        (["0312345600-0312345699", "0312345600-0312345609"], 100),
    ):
        document = parse_document(with_numbers(entries), "registry.yaml")
        assert counts(document)["numbers"] == member_report(document.members[0], VALID_FROM)["numbers"] == numbers

"""The moment from which a member has no valid licence for its calls."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from idtone.core.calls import Direction, Licence, LicenceStatus
from idtone.registry.expiry_warning import ExpiryWarning
from idtone.registry.index import RegistryIndex
from idtone.registry.licence_lapses import LicenceLapse, lapse_words, lapses, over_and_soon, remedies
from idtone.registry.sources import parse_document
from lab.registry.examples import GOOD

BOTH = frozenset(Direction)
INCOMING = frozenset({Direction.INCOMING})


def day(number: int) -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number)


NOW = day(0)


def licence(
    name: str, begin: int, end: int, directions=BOTH, status=LicenceStatus.ACTIVE, pledge=(-900, None)
) -> Licence:
    first, until = pledge
    pledged = None if first is None else day(first), None if until is None else day(until)
    return Licence(name, "m-1", "sample", status, day(begin), day(end), directions, *pledged)


@pytest.mark.parametrize(
    ("held", "incoming", "outgoing"),
    [
        pytest.param([], None, None, id="no licence"),
        pytest.param([licence("a", -9, 90)], ("a", 90), ("a", 90), id="valid"),
        pytest.param([licence("a", -9, -1)], ("a", -1), ("a", -1), id="lapsed"),
        pytest.param([licence("a", -9, 0)], ("a", 0), ("a", 0), id="lapses now"),
        pytest.param([licence("a", -9, 90, INCOMING)], ("a", 90), None, id="one direction"),
        pytest.param([licence("a", -9, 3), licence("b", 3, 90)], ("b", 90), ("b", 90), id="the next one follows"),
        pytest.param([licence("a", -9, 3), licence("b", 4, 90)], ("a", 3), ("a", 3), id="a gap"),
        pytest.param(
            [licence("a", -9, 3), licence("b", -5, 90, INCOMING)], ("b", 90), ("a", 3), id="another direction"
        ),
        pytest.param([licence("a", -9, -1), licence("b", -5, 90)], ("b", 90), ("b", 90), id="an old one"),
        pytest.param([licence("a", -9, -1), licence("b", 5, 90)], ("a", -1), ("a", -1), id="the next one comes late"),
        pytest.param([licence("a", 5, 90)], None, None, id="not yet valid"),
        pytest.param([licence("a", -9, 90, pledge=(-9, 8))], ("a", 8), ("a", 8), id="the pledge ends first"),
        pytest.param([licence("a", -9, 90, pledge=(None, None))], None, None, id="no pledge"),
        pytest.param([licence("a", -9, -1, status=LicenceStatus.REVOKED)], None, None, id="revoked"),
        pytest.param([licence("a", -9, 9, status=LicenceStatus.SUSPENDED)], None, None, id="suspended"),
        pytest.param([licence("a", -99, -89)], ("a", -89), ("a", -89), id="89 days ago"),
        pytest.param([licence("a", -99, -90), licence("b", -9, 9, INCOMING)], ("b", 9), None, id="90 days ago"),
        pytest.param(
            [licence("a", -9, -1), licence("b", -1, 90, INCOMING, LicenceStatus.SUSPENDED)],
            ("a", -1, "b"),
            ("a", -1),
            id="the next one is suspended",
        ),
        pytest.param(
            [licence("a", -9, 5), licence("b", 5, 90, status=LicenceStatus.SUSPENDED)],
            ("a", 5, "b"),
            ("a", 5, "b"),
            id="the next one will be suspended",
        ),
    ],
)
def test_when_calls_are_without_a_licence(held, incoming, outgoing):
    wanted = {Direction.INCOMING: incoming, Direction.OUTGOING: outgoing}
    expected = [
        LicenceLapse(way, day(at), name, *more) for way, ends in wanted.items() if ends for name, at, *more in [ends]
    ]
    found = lapses(held, NOW)
    assert found == expected
    assert [LicenceLapse.of_json(each.to_json()) for each in found] == expected


@pytest.mark.parametrize(
    ("at", "over", "soon"),
    [
        (-1, "a (incoming): 2026-10-31", ""),
        (0, "a (incoming): 2026-11-01", ""),
        (30, "", "a (incoming): 2026-12-01"),
        (31, "", ""),
    ],
)
def test_what_has_lapsed_and_what_lapses_within_30_days(at, over, soon):
    assert tuple(map(lapse_words, over_and_soon([LicenceLapse(Direction.INCOMING, day(at), "a")], NOW))) == (over, soon)


def test_what_to_do_depends_on_whether_the_next_one_is_suspended():
    found = [LicenceLapse(way, NOW, "a", "b" if way is Direction.OUTGOING else "") for way in (*Direction, *Direction)]
    assert remedies(found) == (
        "ask the association to renew it; b would be valid, but is suspended: ask the association to resume it"
    )


def test_the_log_names_a_licence_once_a_day(caplog: pytest.LogCaptureFixture):
    index = RegistryIndex(parse_document(GOOD.replace("2036-12-01", "2096-12-01"), "registry.yaml"))
    end = index.licence_lapses("m-0001", NOW)[0].at
    expiry = ExpiryWarning(timedelta(0), "m-0001")
    with caplog.at_level(logging.ERROR):
        for before in (timedelta(days=31), timedelta(days=9), timedelta(days=9, hours=-1), timedelta(0)):
            expiry.review(index, end - before)
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "a licence lapses soon",
        "a licence HAS LAPSED, and no other one covers the calls",
    ]

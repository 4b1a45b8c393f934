"""The member that held a number at a time, by the editions that the repository keeps."""

from datetime import UTC, datetime, timedelta

import pytest

from idtone.core.numbers import Number, parse
from idtone.member.reports.report_documents import time_span
from idtone.office.authority.workspace import Workspace
from idtone.office.desk.reports import number_holder
from idtone.office.desk.reports.number_holder import Basis, Holder, holder_of
from idtone.registry.index import RegistryIndex
from idtone.registry.model import RegistryDocument
from idtone.registry.parsers import parse_registry
from lab.registry.examples import GOOD
from lab.registry.trust.association import SUSPENSIONS, Association

FIRST = GOOD.partition("suspensions:")[0]
MOVED = (
    FIRST.replace('\n      - "0312340001"', " []")
    .replace('"0612345*"', '"0612345*", "0312340001"')
    .replace("version: 42", "version: 43")
    .replace("issued: 2026-11-01", "issued: 2026-11-10")
)
NUMBER = parse("0312340001")
HELD = [
    # when the call was; the holder
    (datetime(2026, 10, 1, tzinfo=UTC), Holder("m-0002", Basis.EARLIEST)),
    (datetime(2026, 11, 5, tzinfo=UTC), Holder("m-0002", Basis.EDITION)),
    (datetime(2026, 11, 9, 14, 59, tzinfo=UTC), Holder("m-0002", Basis.EDITION)),
    (datetime(2026, 11, 9, 15, 0, tzinfo=UTC), Holder("m-0001", Basis.EDITION)),
    (datetime(2026, 11, 20, tzinfo=UTC), Holder("m-0001", Basis.EDITION)),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """A repository with three editions. In the second, a number goes from one member to the other; the third changes
    nothing.
    """
    association = Association(tmp_path_factory.mktemp("association"))
    association.write(FIRST, SUSPENSIONS)
    association.begin()
    association.write(MOVED, SUSPENSIONS)
    association.publish()
    association.publish()
    return association.workspace


def holder(workspace: Workspace, at: datetime, within_minutes: int = 0, number: Number = NUMBER) -> Holder:
    return holder_of(workspace, number, at, time_span(at, within_minutes))


@pytest.mark.parametrize(("at", "held_by"), HELD)
def test_the_holder_at_the_time_of_the_call(workspace, at, held_by):
    assert holder(workspace, at) == held_by


MOVED_AT = HELD[3][0]
BEFORE = Holder("m-0002", Basis.CHANGED, ("m-0001",))
AFTER = Holder("m-0001", Basis.CHANGED, ("m-0002",))


@pytest.mark.parametrize(
    ("seconds", "within", "held_by"),
    [
        (-60, 0, HELD[2][1]),
        (-59, 0, BEFORE),
        (0, 0, HELD[3][1]),
        (0, 1, AFTER),
        (-61 * 60, 60, HELD[2][1]),
        (-60 * 60, 60, BEFORE),
        (60 * 60, 60, HELD[3][1]),
        (59 * 60, 60, AFTER),
    ],
)
def test_who_else_held_it_within_the_time_that_the_report_leaves_open(workspace, seconds, within, held_by):
    assert holder(workspace, MOVED_AT + timedelta(seconds=seconds), within) == held_by


PORTED = (
    FIRST
    + """portings:
  - {numbers: "0312340001", from: m-0002, to: m-0001, at: 2026-11-10T00:00:00+09:00}
"""
)


@pytest.mark.parametrize(
    ("seconds", "within", "member", "others"),
    [(-121, 1, "m-0002", ()), (-59, 0, "m-0002", ("m-0001",)), (0, 0, "m-0001", ()), (30, 1, "m-0001", ("m-0002",))],
)
def test_a_porting_moves_a_number_within_an_edition(tmp_path, seconds, within, member, others):
    (association := Association(tmp_path / "association")).write(PORTED, SUSPENSIONS)
    association.begin()
    found = holder(association.workspace, MOVED_AT + timedelta(seconds=seconds), within)
    assert (found.member, found.others) == (member, others)


def test_a_number_that_nobody_held_any_more_has_another_holder(tmp_path):
    association = Association(tmp_path / "association")
    association.write(FIRST, SUSPENSIONS)
    association.begin()
    association.write(MOVED.replace(', "0312340001"]', "]"), SUSPENSIONS)
    association.publish()
    found = holder(association.workspace, MOVED_AT, 1)
    assert (found, list(found.members)) == (Holder(None, Basis.CHANGED, ("m-0002",)), ["m-0002"])


def test_of_the_other_editions_only_the_heads_are_read(workspace, monkeypatch):
    number_holder._issued.cache_clear()
    number_holder._edition.cache_clear()
    read = []
    monkeypatch.setattr(number_holder, "_index", lambda octets: read.append(1) or RegistryIndex(parsed(octets)))
    holder(workspace, HELD[1][0])
    assert len(read) == 1


def test_a_number_of_no_member_has_no_holder(workspace):
    assert holder(workspace, HELD[1][0], number=parse("0399999999")) == Holder(None, Basis.EDITION)


def test_a_call_before_the_member_was_entered_reaches_it(tmp_path):
    """The association begins with an empty registry, and some reports are about the time before."""
    association = Association(tmp_path / "association")
    association.write(FIRST.partition("members:")[0] + "members: []\n", SUSPENSIONS)
    association.begin()
    association.write(MOVED, SUSPENSIONS)
    association.publish()
    for at in (HELD[0][0], HELD[1][0]):
        assert holder(association.workspace, at) == Holder("m-0001", Basis.LATER)
    assert holder(association.workspace, HELD[4][0]) == Holder("m-0001", Basis.EDITION)
    association.write(MOVED.replace(', "0312340001"]', "]").replace("version: 43", "version: 44"), SUSPENSIONS)
    association.publish()
    assert holder(association.workspace, HELD[1][0]).member is None, "no member holds it any more"


def test_before_the_first_publication_the_file_counts(tmp_path):
    (tmp_path / "registry.yaml").write_text(MOVED)
    assert holder(Workspace(tmp_path), HELD[1][0]) == Holder("m-0001", Basis.UNPUBLISHED)


def parsed(octets: bytes) -> RegistryDocument:
    return parse_registry(octets.decode(), "registry.yaml")

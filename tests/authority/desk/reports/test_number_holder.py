"""Which member held a number at a time, by the editions that the repository keeps."""

from datetime import UTC, datetime

import pytest

from idtone.authority.desk.reports.number_holder import Basis, Holder, holder_at
from idtone.authority.workspace import Workspace
from idtone.numbers import parse

from ....registry.examples import GOOD
from ....registry.trust.association import SUSPENSIONS, Association

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
    """A number went from one member to the other in the second edition; a third one changed nothing."""
    association = Association(tmp_path_factory.mktemp("association"))
    association.write(FIRST, SUSPENSIONS)
    association.begin()
    association.write(MOVED, SUSPENSIONS)
    association.publish()
    association.publish()
    return association.workspace


@pytest.mark.parametrize(("at", "holder"), HELD)
def test_the_holder_at_the_time_of_the_call(workspace, at, holder):
    assert holder_at(workspace, NUMBER, at) == holder


def test_a_number_of_no_member_has_no_holder(workspace):
    assert holder_at(workspace, parse("0399999999"), HELD[1][0]) == Holder(None, Basis.EDITION)


def test_before_the_first_publication_the_file_counts(tmp_path):
    (tmp_path / "registry.yaml").write_text(MOVED)
    assert holder_at(Workspace(tmp_path), NUMBER, HELD[1][0]) == Holder("m-0001", Basis.UNPUBLISHED)

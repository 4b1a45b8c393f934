"""The pure rules of the report desk: the member to ask next, the counts to publish, and the limit on requests."""

import itertools

import pytest

from idtone.core.errors import DocumentError
from idtone.member.reports.report_documents import AnswerResult
from idtone.office.desk.reports.call_traceback import Finding, Next, first_request, next_request
from idtone.office.desk.reports.rate_limit import RateLimit
from idtone.office.desk.reports.report_settings import FILE, ReportSettings, read_report_settings
from idtone.office.desk.reports.small_counts import without_small_counts
from lab.repository import ROOT

HELD, NOT_OURS, UPSTREAM = AnswerResult.CUSTOMER_HELD, AnswerResult.NOT_OURS, AnswerResult.UPSTREAM
AFTER = [
    # the members that were asked, the last one's answer, whom it names; what follows
    (["a"], HELD, None, Next(finding=Finding.CUSTOMER_HELD)),
    (["a"], NOT_OURS, None, Next(finding=Finding.NOT_OURS)),
    (["a"], UPSTREAM, "b", Next(member="b")),
    (["a", "b"], UPSTREAM, "c", Next(member="c")),
    (["a"], UPSTREAM, "a", Next(finding=Finding.LOOP)),
    (["a", "b"], UPSTREAM, "a", Next(finding=Finding.LOOP)),
    (["a", "b", "c"], UPSTREAM, "d", Next(finding=Finding.TOO_LONG)),
    (["a", "b", "c"], UPSTREAM, "b", Next(finding=Finding.LOOP)),
    (["a", "b", "c"], HELD, None, Next(finding=Finding.CUSTOMER_HELD)),
]
SEVERAL = [
    # as above; and the members that held the number within the time of the call
    (["a"], NOT_OURS, None, ["a", "b"], Next(member="b")),
    (["a", "b"], NOT_OURS, None, ["a", "b"], Next(finding=Finding.NOT_OURS)),
    (["a", "c"], NOT_OURS, None, ["a", "b"], Next(member="b")),
    (["a", "c", "d"], NOT_OURS, None, ["a", "b"], Next(finding=Finding.NOT_OURS)),
    (["a"], HELD, None, ["a", "b"], Next(finding=Finding.CUSTOMER_HELD)),
    (["a"], UPSTREAM, "c", ["a", "b"], Next(member="c")),
]


@pytest.mark.parametrize(("asked", "result", "upstream", "follows"), AFTER)
def test_what_follows_an_answer(asked, result, upstream, follows):
    assert next_request(asked, result, upstream, most=3) == follows


@pytest.mark.parametrize(("asked", "result", "upstream", "holders", "follows"), SEVERAL)
def test_what_follows_if_several_members_held_the_number(asked, result, upstream, holders, follows):
    assert next_request(asked, result, upstream, 3, holders) == follows


def test_the_holder_is_asked_first_and_without_one_the_office_acts():
    assert (first_request(["a", "b"]), first_request([])) == (Next(member="a"), Next(finding=Finding.NO_HOLDER))


COUNTS = [
    # counts; which are shown, and the total
    ({"a": 9, "b": 7}, {"a": 9, "b": 7}, 16),
    ({"a": 9, "b": 0}, {"a": 9, "b": 0}, 9),
    ({"a": 9, "b": 7, "c": 4}, {"a": 9, "b": None, "c": None}, 20),
    ({"a": 9, "b": 1, "c": 2}, {"a": None, "b": None, "c": None}, 12),
    ({"a": 9, "b": 3, "c": 4}, {"a": 9, "b": None, "c": None}, 16),
    ({"a": 4}, {"a": None}, None),
    ({"a": 1, "b": 1}, {"a": None, "b": None}, None),
    ({}, {}, 0),
]


@pytest.mark.parametrize(("counts", "shown", "total"), COUNTS)
def test_small_counts_are_not_shown(counts, shown, total):
    found = without_small_counts(counts, least=5)
    assert (dict(found.counts), found.total) == (shown, total)


def test_no_small_count_can_be_computed():
    for numbers in itertools.product(range(9), repeat=3):
        found = without_small_counts(dict(zip("abc", numbers, strict=True)), least=5)
        hidden = [n for name, n in zip("abc", numbers, strict=True) if found.counts[name] is None]
        if hidden and found.total is not None:
            assert len(hidden) > 1, numbers
            assert sum(hidden) >= 5, numbers
        assert all(n == 0 or n >= 5 for n in found.counts.values() if n is not None)


def test_each_visitor_and_all_together_have_a_limit_an_hour():
    limit = RateLimit(hourly=5, hourly_each=2)
    served = [limit.admits(f"2001:db8::{n}", 0.0) for n in range(3)]
    assert served == [True, True, False], "one network is one visitor"
    assert [limit.admits(f"192.0.2.{n}", 1.0) for n in range(5)] == [True, True, True, False, False]
    assert not limit.admits("192.0.2.9", 3599.0)
    assert limit.admits("2001:db8::1", 3600.5)


def test_many_networks_of_one_site_leave_room_and_a_newcomer_has_a_reserve():
    limit = RateLimit(hourly=600, hourly_each=20)
    sites = [f"2001:db8:{site:x}:{customer << 8:x}::1" for site in range(5) for customer in range(31)]
    served = sum(limit.admits(each, 0.0) for each in sites for _ in range(20))
    assert 450 <= served < 500, "155 networks of five sites take little more than three quarters"
    assert limit.admits("192.0.2.1", 1.0)
    assert limit.admits("2001:db8:ffff::1", 1.0)
    assert not limit.admits("192.0.2.1", 1.0), "the reserve is for those who were not here"
    limit.give_back("192.0.2.1")
    assert limit.admits("192.0.2.1", 1.0), "what did nothing does not count"


def test_the_sample_has_the_defaults(tmp_path):
    (tmp_path / FILE).write_bytes((ROOT / "config" / "reports.yaml").read_bytes())
    assert read_report_settings(tmp_path) == read_report_settings(tmp_path / "nowhere") == ReportSettings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("traceback: {answer_within: PT1M}", "traceback.answer_within: is not a plausible time"),
        ("traceback: {members: 0}", "traceback.members"),
        ("statistics: {least: 1}", "statistics.least"),
        ("page: {responsible: 申告係 03-1234-5678}", "page.responsible: contains a telephone number"),
        ("page: {upload: 1}", "page.upload"),
        ("retention: PT1H", "retention: is less than 1 day"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path, text, said):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DocumentError, match=said):
        read_report_settings(tmp_path)

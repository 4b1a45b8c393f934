"""Words instead of codes, times in Japan, and the history in the visitor's language."""

from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, date, datetime
from functools import partial

import pytest

from idtone.console.template_environment import dated, labelled
from idtone.console.time_formats import (
    day,
    format_time,
    format_to_minute,
    last_day,
    last_moment,
    parse_typed_time,
    with_zone,
)
from idtone.console.words_for_codes import DETAILS, FILTERS, NUMBERS, OUTCOMES, STATUSES, TONES, detail_words, person
from idtone.core.calls import Outcome, Reason
from idtone.core.numbers import NumberKind
from idtone.core.translation import speak
from idtone.ledger.evidence.steps import CallStatus

EVENING = datetime(2026, 11, 1, 16, 30, 5, tzinfo=UTC)


def in_japanese(do: Callable[[], object]) -> str:
    """The text that `do` returns in Japanese. It runs in its own context, because the choice of a language would
    outlast the test.
    """
    context = copy_context()
    context.run(speak, "ja")
    return str(context.run(do))


def test_each_code_has_words_and_each_outcome_one_colour():
    assert set(OUTCOMES) == set(TONES) == set(Outcome)
    assert len(set(TONES.values())) == len(Outcome)
    assert set(STATUSES) == set(CallStatus)
    assert set(NUMBERS) == set(NumberKind)
    for code in Reason:
        assert FILTERS["reason"](code).striptags() != code


@pytest.mark.parametrize(
    ("shown_of", "text"),
    [
        (lambda: FILTERS["outcome"]("PLAY"), '<span title="PLAY">識別音</span>'),
        (lambda: FILTERS["outcome"]("<NEW>"), "&lt;NEW&gt;"),
        (lambda: FILTERS["status"](None), ""),
        (lambda: FILTERS["number"]("…5678"), "…5678"),
        (lambda: FILTERS["number"]("fixed"), '<span title="fixed">固定電話</span>'),
        (lambda: detail_words("direction", "incoming"), "方向: 着信転送"),
        (lambda: detail_words("parties", "called,caller"), "聞く人: 着信側, 発信側"),
        (lambda: detail_words("registry_version", 42), "登録簿の版: 42"),
        (lambda: detail_words("of a later version", 1), "of a later version: 1"),
        (lambda: person("a (uid 0, by console)"), '<span title="a (uid 0, by console)">a (コンソール)</span>'),
        (lambda: person("<b>"), "&lt;b&gt;"),
    ],
)  # fmt: skip
def test_people_read_words(shown_of, text):
    assert in_japanese(shown_of) == text


def test_every_detail_of_a_step_has_a_name_in_both_languages():
    for name in DETAILS.keys() - {"sha256"}:
        assert not in_japanese(partial(detail_words, name, "x")).isascii(), name


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (format_time(EVENING), "2026-11-02 01:30:05"),
        (format_time(None), ""),
        (format_to_minute(EVENING), "2026-11-02 01:30"),
        (day("2026-11-01T16:30:05+00:00"), "2026-11-02"),
        (last_day(datetime(2027, 11, 18, 15, tzinfo=UTC)), "2027-11-18"),
        (last_day(date(2027, 11, 19)), "2027-11-18"),
        (last_moment(datetime(2027, 11, 18, 15, tzinfo=UTC)), "2027-11-18"),
        (last_moment(datetime(2027, 11, 18, 14, tzinfo=UTC)), "2027-11-18 23:00"),
        (parse_typed_time("2026-11-02T01:30").astimezone(UTC).isoformat(), "2026-11-01T16:30:00+00:00"),
        (parse_typed_time("2026-11-02T01:30:00+00:00").isoformat(), "2026-11-02T01:30:00+00:00"),
        (with_zone("2026-11-02T01:30"), "2026-11-02T01:30:00+09:00"),
        (with_zone("2026-11-02"), "2026-11-02"),
        (with_zone("soon"), "soon"),
    ],
)
def test_times_are_those_of_japan(found, text):
    assert found == text


def test_no_line_breaks_in_the_days_of_a_sentence():
    assert dated("<b>は2026-11-01まで, 0120-2026-11-01") == "&lt;b&gt;は<time>2026-11-01</time>まで, 0120-2026-11-01"


def test_the_cells_of_a_row_name_their_columns():
    rows = '<tr><td>1</td><td class="a">2</td></tr><tr class="x"><td colspan="2">3</td></tr><tr><td>4</td></tr>'
    assert labelled(rows, ["A", '"<B>']) == (
        '<tr><td data-label="A">1</td><td class="a" data-label="&#34;&lt;B&gt;">2</td></tr>'
        '<tr class="x"><td colspan="2">3</td></tr><tr><td data-label="A">4</td></tr>'
    )

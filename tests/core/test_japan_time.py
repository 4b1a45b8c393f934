"""The end of a period as shown to people: files hold the first moment after it."""

import pytest

from idtone.core.japan_time import end_words


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ("2027-02-01T00:00:00+09:00", "2027-01-31"),
        ("2027-01-31T15:00:00Z", "2027-01-31"),  # the same moment
        ("2027-02-01T00:00:01+09:00", "2027-02-01T00:00:01+09:00"),
        ("2027-02-01T00:00:00+00:00", "2027-02-01T00:00:00+00:00"),  # nine in Japan
        ("2024-03-01T00:00:00+09:00", "2024-02-29"),
    ],
)
def test_a_period_that_ends_with_a_day_names_its_last_day(until, words):
    assert end_words(until) == words

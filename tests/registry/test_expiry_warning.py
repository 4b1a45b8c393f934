"""The log messages about a registry that expires."""

from datetime import timedelta

from idtone.registry.expiry_warning import AGAIN, SOON, ExpiryWarning
from lab.registry.examples import GOOD, index_of

HOUR = timedelta(hours=1)


REGISTRY = index_of(GOOD)


def test_the_message_at_each_time(caplog):
    for left, stale, said in (
        (SOON + HOUR, 0 * HOUR, None),
        (SOON, 0 * HOUR, "registry version 42 expires at "),
        (HOUR, 5 * HOUR, "registry version 42 expires at "),
        (0 * HOUR, 0 * HOUR, "no licence is valid any more"),
        (0 * HOUR, 2 * HOUR, "its licences stay valid until "),
        (-HOUR, 2 * HOUR, "its licences stay valid until "),
        (-2 * HOUR, 2 * HOUR, "no licence is valid any more"),
    ):
        caplog.clear()
        ExpiryWarning(stale).review(REGISTRY, REGISTRY.expires - left)
        assert len(caplog.messages) == (said is not None), (left, stale)
        assert said is None or said in caplog.messages[0]


def test_a_message_is_logged_once_an_hour_and_at_once_when_it_changes(caplog):
    expiry, soon = ExpiryWarning(timedelta(0)), REGISTRY.expires - SOON
    for after in (0 * HOUR, HOUR / 2, AGAIN, SOON, SOON + HOUR / 2):
        expiry.review(REGISTRY, soon + after)
    assert ["HAS EXPIRED" in message for message in caplog.messages] == [False, False, True]
    expiry.review(None, soon)
    expiry.review(REGISTRY, soon)
    assert len(caplog.records) == 4

"""The log messages about a registry that expires."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from idtone.registry.expiry_warning import AGAIN, SOON, Expiry
from idtone.registry.index import RegistryIndex
from idtone.registry.sources import load_registry

from .examples import GOOD

HOUR = timedelta(hours=1)


@pytest.fixture
def registry(tmp_path: Path) -> RegistryIndex:
    path = tmp_path / "registry.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return load_registry(path)


@pytest.mark.parametrize(
    ("left", "stale", "said"),
    [
        (SOON + HOUR, 0 * HOUR, None),
        (SOON, 0 * HOUR, "registry version 42 expires at "),
        (HOUR, 5 * HOUR, "registry version 42 expires at "),
        (0 * HOUR, 0 * HOUR, "no licence is valid any more"),
        (0 * HOUR, 2 * HOUR, "its licences stay valid until "),
        (-HOUR, 2 * HOUR, "its licences stay valid until "),
        (-2 * HOUR, 2 * HOUR, "no licence is valid any more"),
    ],
)
def test_the_message_at_each_time(registry, caplog, left, stale, said):
    Expiry(stale).review(registry, registry.expires - left)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]


def test_a_message_is_logged_once_an_hour_and_at_once_when_it_changes(registry, caplog):
    expiry, soon = Expiry(timedelta(0)), registry.expires - SOON
    for after in (0 * HOUR, HOUR / 2, AGAIN, SOON, SOON + HOUR / 2):
        expiry.review(registry, soon + after)
    assert ["HAS EXPIRED" in record.getMessage() for record in caplog.records] == [False, False, True]
    expiry.review(None, soon)
    expiry.review(registry, soon)
    assert len(caplog.records) == 4

"""By which door the service is asked, and how often a call in real time may be tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..lab.asterisk import Asterisk

AGAIN = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests happen in real time, to the frame of 20 ms: what else a machine does may make one of them fail, and
    fails it not again. The summary counts those that were run again; what goes wrong rarely is for `make bench-walks`.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=AGAIN))


@pytest.fixture(params=["ari", "agi"])
def door(request: pytest.FixtureRequest, asterisk: Asterisk) -> Iterator[str]:
    """Each door in turn, as the PBX's setting."""
    asterisk.command(f"dialplan set global IDTONE_DOOR {request.param}")
    yield request.param
    asterisk.command("dialplan set global IDTONE_DOOR ari")

"""By which door the service is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..lab.asterisk import Asterisk


@pytest.fixture(params=["ari", "agi"])
def door(request: pytest.FixtureRequest, asterisk: Asterisk) -> Iterator[str]:
    """Each door in turn, as the PBX's setting."""
    asterisk.command(f"dialplan set global IDTONE_DOOR {request.param}")
    yield request.param
    asterisk.command("dialplan set global IDTONE_DOOR ari")

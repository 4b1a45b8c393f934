"""By which interface the service is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..lab.asterisk import Asterisk


@pytest.fixture(params=["ari", "agi"])
def interface(request: pytest.FixtureRequest, asterisk: Asterisk) -> Iterator[str]:
    """Each interface in turn, as the PBX's setting."""
    asterisk.command(f"dialplan set global IDTONE_INTERFACE {request.param}")
    yield request.param
    asterisk.command("dialplan set global IDTONE_INTERFACE ari")

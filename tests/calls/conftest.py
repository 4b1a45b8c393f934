"""Fixtures for the interfaces between Asterisk and the service, and for services that a test may damage."""

from collections.abc import Iterator

import pytest

from lab.asterisk import Asterisk
from lab.nightly_tests import breadth
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.shared_service import SharedService
from lab.supervisor import Supervisor


@pytest.fixture(params=["ari", breadth("agi")])
def interface(request: pytest.FixtureRequest, asterisk: Asterisk) -> Iterator[str]:
    """Each interface in turn, as the PBX's setting. `by_both` places calls over both interfaces in one test."""
    asterisk.command(f"dialplan set global IDTONE_INTERFACE {request.param}")
    yield request.param
    asterisk.command("dialplan set global IDTONE_INTERFACE ari")


@pytest.fixture
def own_service(asterisk: Asterisk, shared_service: SharedService) -> Iterator[Service]:
    """A service that the test may kill. The shared service is down meanwhile."""
    shared_service.stop()
    with Service(asterisk, LAB_REGISTRY) as service:
        yield service


@pytest.fixture
def supervised(asterisk: Asterisk, shared_service: SharedService) -> Iterator[Supervisor]:
    shared_service.stop()
    with Supervisor(asterisk, LAB_REGISTRY) as service:
        yield service

"""A PBX that only the doctor's tests break."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from idtone.operations.doctor.modules import DIALPLAN_VIEW
from lab.asterisk import MODULES, Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.operations.doctor.run_doctor import modules_conf
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import BARE


class Installed(Service):
    """Stand-in for the installed service, which the doctor knows by its command line."""

    forks = False


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation) -> Iterator[Service]:
    """An Asterisk and a service, which each test leaves as it found them. Other users can enter its folder."""
    with tempfile.TemporaryDirectory(prefix="idtone-doctor-") as scratch:
        Path(scratch).chmod(0o755)
        asterisk = Asterisk(installation, Path(scratch), modules_conf(*MODULES, *DIALPLAN_VIEW), site=BARE)
        with asterisk, Installed(asterisk, LAB_REGISTRY) as service:
            yield service

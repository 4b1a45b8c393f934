"""A PBX of the doctor's tests. No other tests break it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from idtone.operations.doctor.asterisk_modules import DIALPLAN_VIEW
from lab.asterisk import MODULES, Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.operations.doctor.run_doctor import modules_conf
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import BARE


class Installed(Service):
    """A service with the command line of an installed service, by which the doctor recognises it."""

    forks = False


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation) -> Iterator[Service]:
    """An Asterisk and a service that each test leaves unchanged.

    Other users can enter the folder.
    """
    with tempfile.TemporaryDirectory(prefix="idtone-doctor-") as scratch:
        Path(scratch).chmod(0o755)
        asterisk = Asterisk(installation, Path(scratch), modules_conf(*MODULES, *DIALPLAN_VIEW), site=BARE)
        with asterisk, Installed(asterisk, LAB_REGISTRY) as service:
            yield service

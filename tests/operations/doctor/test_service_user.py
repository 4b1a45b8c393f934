"""`idtone doctor` on a service whose user is not in Asterisk's group. The findings are true, and the printed remedies
work.
"""

import grp
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idtone.dialplan import LINES_FILE
from idtone.operations.doctor.shared_file_checks import WRITABLE
from lab.asterisk import IDTONE, Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.operations.doctor.run_doctor import examine, run
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import BARE

USER = pwd.getpwnam("daemon")
"""A user who exists on each machine and has no rights. The lab's Asterisk runs as root."""
ROOT_GROUP = grp.getgrgid(0).gr_name


class OtherUsersService(Service):
    """A service that runs as `USER`."""

    def _launch(self, *options: str) -> None:
        os.chown(self.asterisk.scratch / "ari.password", USER.pw_uid, USER.pw_gid)
        with self._output() as log:
            self.process = subprocess.Popen(
                [*become(), IDTONE, "serve", "-c", self.settings, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self._environment(),
                cwd="/",
            )


def become() -> list[str]:
    return ["setpriv", f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--init-groups"]


@pytest.fixture
def service(installation: AsteriskInstallation) -> Iterator[Service]:
    """A running Asterisk, and a service that was never started and owns its files."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    if subprocess.run([*become(), IDTONE, "--version"], cwd="/", check=False, capture_output=True).returncode:
        pytest.skip(f"the user {USER.pw_name} may not run {IDTONE}")
    with tempfile.TemporaryDirectory(prefix="idtone-users-") as name:
        scratch = Path(name)
        with Asterisk(installation, scratch, site=BARE) as asterisk:
            registry = scratch / "registry.yaml"
            registry.write_text(LAB_REGISTRY.read_text())
            (scratch / "ledger").mkdir()
            for own in (scratch, scratch / "ledger"):
                own.chmod(0o755)
                os.chown(own, USER.pw_uid, USER.pw_gid)
            one = OtherUsersService(asterisk, registry)
            try:
                yield one
            finally:
                one.stop()


def states(service: Service) -> list[str]:
    findings = examine(service)
    return [findings[topic]["state"] for topic in WRITABLE]


def until(condition: Callable[[], Any], within_s: float = 60) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s


def suspend(service: Service, number: str) -> Callable[[], bool]:
    """Suspend another number; returns a function that is True once Asterisk has the suspension."""
    text = service.registry.read_text()
    assert f'"{number}"' not in text
    service.registry.write_text(
        f'{text.rstrip()}\n  - {{number: "{number}", since: 2026-03-01T00:00:00+09:00, reference: R-{number}}}\n'
    )
    known = f"81{number[1:]} = "
    return lambda: known in (service.asterisk.sounds / "fallback.conf").read_text()


@pytest.mark.nightly
def test_after_the_remedies_the_service_starts_and_asterisk_gets_suspensions(service):
    service._write_settings()
    sounds = service.asterisk.sounds
    findings = examine(service)
    assert [findings[topic]["state"] for topic in WRITABLE] == ["bad", "bad"]
    assert f"the service (user {USER.pw_uid}) cannot put files into {sounds}" in findings["sounds-writable"]["found"]
    assert findings["sounds-writable"]["remedy"] == (
        f"chown {USER.pw_name}:{ROOT_GROUP} {sounds} && chmod 2750 {sounds}"
    )
    with pytest.raises(RuntimeError, match="cannot be written: Permission denied"):
        service.start()

    for topic in WRITABLE:
        subprocess.run(["sh", "-ec", findings[topic]["remedy"]], check=True)
    assert states(service) == ["good", "good"]
    service.start()
    assert states(service) == ["good", "good"]
    until(suspend(service, "0312345698"))

    # The folder after the remedy of an earlier doctor: without g+s.
    sounds.chmod(0o750)
    findings = examine(service)
    assert findings["sounds-writable"]["state"] == "bad"
    assert "Operation not permitted" in findings["sounds-writable"]["found"]
    known = suspend(service, "0312345697")
    until(lambda: " crit " in service.log())
    assert not known()
    subprocess.run(["sh", "-ec", findings["sounds-writable"]["remedy"]], check=True)
    until(known)
    assert states(service) == ["good", "good"]

    # Both folders are root's, so the way to the second one is closed until the first one is repaired.
    (sounds / LINES_FILE).touch()
    for folder in (sounds / "journal", sounds):
        os.chown(folder, 0, 0)
    run(service, "--fix", "--yes", "--copies", str(service.asterisk.scratch / "copies"))
    assert states(service) == ["good", "good"]
    assert {folder.stat().st_uid for folder in (sounds, sounds / "journal")} == {USER.pw_uid}
    assert service.stop() == 0

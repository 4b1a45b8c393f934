"""The edition of the fleet's settings that a node has used, and its refusal of an older one."""

import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.errors import DocumentError, LedgerError
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.settings.shared_settings import SIGNED_BY, fleet_settings_report, signed_settings
from idtone.core.signed_notes import Signer
from idtone.ledger.store.sqlite import path_of
from idtone.operations.doctor import settings_findings
from idtone.operations.doctor.findings import State
from idtone.service.status_client import ask
from idtone.service.used_fleet_settings import UsedFleetSettings, last_used, record, record_of, refuse_older
from lab.asterisk import IDTONE

NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)
SIGNER = Signer(SIGNED_BY, b"1" * 32)


class Node:
    """A node with a signed file of the fleet's settings, and with settings of its own that override it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.shared = folder / "idtone.yaml", folder / "fleet-settings.signed"
        self.file.write_text(
            f"ari: {{url: 'http://127.0.0.1:9', password: x}}\nsounds: {{directory: {folder}/sounds}}\n"
            f"registry: {{source: {folder}/registry.yaml, trust: unsigned}}\n"
            f"fleet: {{settings: {self.shared}, trust: {SIGNER.key}}}\n"
            f"ledger: {{url: 'sqlite:///{folder}/l.sqlite3', key_file: {folder}/key}}\n"
        )

    def given(self, version: int, yaml: str = "log: {level: debug}") -> Settings:
        self.shared.write_text(str(signed_settings(yaml, "s", version, NOW, [SIGNER])))
        return load_settings(self.file, {})


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_an_older_edition_is_refused_and_the_same_or_a_newer_one_is_not(node):
    settings = node.given(7)
    assert last_used(settings) is None
    refuse_older(settings)
    record(settings)
    assert record_of(settings).stat().st_mode & 0o777 == 0o600
    refuse_older(settings)
    for version, yaml, problem in (
        (6, "log: {level: debug}", "is 6, and this node has used version 7"),
        (7, "log: {level: error}", "is 7, and this node has used another edition with this version"),
    ):
        with pytest.raises(DocumentError) as caught:
            refuse_older(node.given(version, yaml))
        assert str(caught.value).startswith(f"{node.shared}:2:1: version: {problem}. Copy the newest edition here;")
    newer = node.given(8, "log: {level: error}")
    refuse_older(newer)
    record(newer)
    assert newer.shared
    assert last_used(newer) == UsedFleetSettings(8, newer.shared.sha256)
    refuse_older(Settings())


def test_a_damaged_record_is_told_and_a_disk_that_fails_stops_no_service(node, caplog):
    settings = node.given(7)
    record_of(settings).write_text("{")
    with pytest.raises(LedgerError, match=r"is damaged; if fleet\.settings is your newest edition, remove "):
        refuse_older(settings)
    record_of(settings).unlink()
    record_of(settings).mkdir()
    record(settings)
    assert "version 7 of the fleet's settings is used, and cannot be recorded" in caplog.text


def test_what_the_doctor_says(node):
    settings = node.given(7)
    assert settings.shared
    sha256 = settings.shared.sha256
    for used, trouble, state, found in (
        (
            UsedFleetSettings(7, sha256),
            "",
            State.GOOD,
            "version 7; set otherwise here: ari.url, ledger.key_file, ledger.url",
        ),
        (UsedFleetSettings(6, "x"), "", State.WARNING, "has version 7, which the service does not use yet"),
        (None, "", State.WARNING, "has version 7, which the service does not use yet"),
        (UsedFleetSettings(8, "x"), "", State.BAD, "the version is 7, and this node has used version 8"),
        (UsedFleetSettings(7, "x"), "", State.BAD, "has used another edition with this version"),
        (None, "cannot be read", State.UNKNOWN, "cannot be read"),
    ):
        finding = settings_findings.fleet_settings(settings, used, trouble)
        assert (finding.state, found in finding.found) == (state, True), finding
    assert settings_findings.fleet_settings(Settings(), None).state is State.GOOD


@pytest.mark.nightly
def test_the_service_records_what_it_uses_and_an_older_edition_does_not_reload_it(node):
    """The next instance checks the settings like `serve --check`. The running instance continues."""
    environment = os.environ | {"LANGUAGE": "en"}
    settings = node.given(7)
    with subprocess.Popen(
        [IDTONE, "serve", "-c", node.file],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as service:
        try:
            deadline_s = time.monotonic() + 60
            while last_used(settings) is None and service.poll() is None and time.monotonic() < deadline_s:
                time.sleep(0.05)
            node.given(6)
            check = subprocess.run(
                [IDTONE, "serve", "--check", "-c", node.file],
                capture_output=True,
                text=True,
                timeout=60,
                env=environment,
                check=False,
            )
            found = ask(path_of(settings.ledger.own_url()))
        finally:
            service.terminate()
    assert (check.returncode, check.stdout) == (78, "")
    assert f"{node.shared}:2:1: version: is 6, and this node has used version 7" in check.stderr
    assert found
    assert (found["settings"]["version"], found["settings"]["overrides"]) == (
        7,
        fleet_settings_report(settings)["overrides"],
    )

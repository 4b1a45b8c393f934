"""`idtone-failed`: the mails about a failed unit and about trouble."""

import email
import email.policy
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.settings.settings import MAIL_TO
from idtone.operations import failure_mail
from idtone.operations.trouble_mail_timing import MailedTroubles
from idtone.service.troubles import NO_REGISTRY, Trouble
from lab.repository import ROOT
from lab.terminal import Terminal
from lab.unit_files import unit

terminal = Terminal()
NOW = datetime(2026, 11, 1, tzinfo=UTC)
LOOK_S = 8
"""Longest duration of a check in seconds: it waits for a service that hangs."""


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File with the email that a fake sendmail received.

    Fake programs of systemd report on the unit.
    """
    for name, text in {
        "sendmail": f"#!/bin/sh\ncat > {tmp_path}/mail\n",
        "journalctl": '#!/bin/sh\necho "log of $2: 設定"\n',
        "systemctl": "#!/bin/sh\necho failed\n",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(failure_mail, "_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "mail"


def test_a_mail_says_in_both_languages_what_failed(sent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.output("idtone-failed", "idtone.service")
    message = email.message_from_bytes(sent.read_bytes(), policy=email.policy.default)
    assert message["To"] == "root"
    assert "idtone.service が異常終了しました / has failed" in message["Subject"]
    text = message.get_body().get_content()
    assert "log of idtone.service: 設定" in text
    assert "idtone doctor" in text
    monkeypatch.setenv(MAIL_TO, "noc@example.jp")
    terminal.output("idtone-failed", "idtone-doctor.service")
    assert b"To: noc@example.jp" in sent.read_bytes()


def test_without_a_sendmail_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_mail, "_PATH", str(tmp_path))
    assert "there is no sendmail" in terminal.error("idtone-failed", "idtone.service")


def test_the_units_send_it_and_the_package_has_them() -> None:
    rules, prerm = (ROOT / "debian" / name for name in ("rules", "idtone.prerm"))
    for name in ("idtone", "idtone-doctor"):
        assert "OnFailure=idtone-failed@%n.service\n" in (ROOT / "config" / f"{name}.service").read_text()
    for name in (
        "idtone-doctor.service",
        "idtone-doctor.timer",
        "idtone-trouble.service",
        "idtone-trouble.timer",
        "idtone-failed@.service",
    ):
        assert re.search(rf"config/{name} (> )?debian/idtone\.{name}\n", rules.read_text())
    for name in ("doctor", "trouble"):
        assert f"idtone-{name}.timer idtone-{name}.service" in prerm.read_text()


DOWN = Trouble("service", "no service runs")
BEGUN = Trouble("asterisk", "Asterisk is not connected")
CRASHED = Trouble("restarts", "3 times", at_once=True)
SOON = Trouble("licence-lapses-soon-incoming", "a licence lapses soon", is_warning=True)


def test_two_looks_are_within_two_minutes() -> None:
    """Trouble that begins just after a check is reported by the second check after it."""
    timer = dict(re.findall(r"^(\w+)=(\d+)s$", (ROOT / "config/idtone-trouble.timer").read_text(), re.MULTILINE))
    assert 2 * (int(timer["OnUnitInactiveSec"]) + int(timer["AccuracySec"]) + LOOK_S) <= 120


def test_a_look_imports_neither_calls_nor_sounds() -> None:
    """The check runs all day on the machine that handles the calls."""
    loaded = "import sys, idtone.operations.failure_mail; print(*sys.modules)"
    modules = set(subprocess.check_output([sys.executable, "-c", loaded], text=True).split())
    assert not modules & {"aiohttp", "numpy", "cryptography", "tuf", "idtone.call_control.call"}


@pytest.mark.parametrize(
    ("runs", "mails_at_s"),
    [
        pytest.param([(at_s, []) for at_s in range(0, 2000, 40)], [], id="all is well"),
        pytest.param([(0, [BEGUN]), (40, [])], [], id="a restart or an upgrade"),
        pytest.param([(0, [BEGUN]), (40, [BEGUN]), (80, [BEGUN]), (4000, [BEGUN])], [40], id="one mail"),
        pytest.param([(0, [CRASHED]), (40, [CRASHED])], [0], id="at once"),
        pytest.param([(0, [CRASHED]), (40, [BEGUN]), (80, [BEGUN])], [0, 80], id="another one begins"),
        pytest.param([(0, [CRASHED]), (40, []), (80, [CRASHED]), (120, []), (800, []), (840, [])], [0, 800], id="over"),
        pytest.param([(0, [BEGUN]), (40, [BEGUN]), (80, []), (120, [BEGUN]), (160, [BEGUN])], [40], id="not seen once"),
        pytest.param(
            [(0, [DOWN]), (40, [DOWN]), (80, [BEGUN]), (120, [BEGUN]), (160, [DOWN]), (200, [DOWN]), (900, [DOWN])],
            [40, 120, 200],
            id="it comes back and stays, before all was well for ten minutes",
        ),
        pytest.param(
            [(0, [BEGUN]), (40, [BEGUN]), (80, []), (400, [BEGUN]), (440, []), (680, [])],
            [40, 680],
            id="over, with a restart meanwhile",
        ),
        pytest.param([(0, [SOON]), (40, [SOON]), (800, [SOON])], [40], id="soon"),
        pytest.param([(0, [CRASHED, SOON]), (40, [SOON]), (800, [SOON])], [0, 40, 800], id="over, but something soon"),
        pytest.param([(9000, [CRASHED]), (40, [CRASHED])], [9000, 40], id="the machine was started again"),
    ],
)
def test_trouble_is_told_once(runs: list[tuple[float, list[Trouble]]], mails_at_s: list[float]) -> None:
    told, mailed = MailedTroubles(), []
    for now_s, present in runs:
        news = MailedTroubles.of(told.to_json()).after(present, now_s)
        told = news.told
        if news.is_worth_a_mail:
            mailed.append(now_s)
    assert mailed == mails_at_s


def test_the_mail_about_trouble_is_in_both_languages() -> None:
    text = failure_mail.trouble_mail([Trouble("registry", NO_REGISTRY)], "pbx-1", "root", NOW).get_content()
    assert str(NO_REGISTRY) in text
    assert "登録簿がない" in text
    over = failure_mail.trouble_mail([], "pbx-1", "root", NOW)
    assert "復旧" in over["Subject"]
    soon = failure_mail.trouble_mail([SOON], "pbx-1", "root", NOW)
    assert "期限" in soon["Subject"]
    assert "- a licence" in soon.get_content()
    assert "復旧" in failure_mail.trouble_mail([SOON], "pbx-1", "root", NOW, is_over=True)["Subject"]
    assert MailedTroubles.of(b"[]") == MailedTroubles.of(b'{"first_s": 3}') == MailedTroubles()


def test_what_cannot_be_mailed_is_mailed_the_next_time(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service does not run, and the receiver's address is in the environment."""
    monkeypatch.setenv(MAIL_TO, "noc@example.jp")
    settings = tmp_path / "idtone.yaml"
    settings.write_text(f"ledger: {{url: 'sqlite:///{tmp_path}/ledger.sqlite3'}}\nregistry: {{source: /nowhere}}\n")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(failure_mail, "restarts", lambda: 3)
    monkeypatch.setattr(failure_mail, "_PATH", "/nowhere")
    assert "there is no sendmail" in terminal.error("idtone-failed", "-c", str(settings))
    monkeypatch.setattr(failure_mail, "_PATH", str(tmp_path))
    terminal.output("idtone-failed", "-c", str(settings))
    text = email.message_from_bytes(sent.read_bytes(), policy=email.policy.default).get_content()
    assert "restarted by systemd 3 times" in text


def test_the_record_of_what_was_mailed_needs_no_disk(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, it could not be written: each run would send the mail again, or none would send one."""
    service = unit((ROOT / "config" / "idtone-trouble.service").read_text())["Service"]
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == ("idtone-trouble", "yes")
    settings, memory = tmp_path / "idtone.yaml", tmp_path / "run"
    settings.write_text(f"ledger: {{url: 'sqlite:///{tmp_path}/ledger.sqlite3'}}\nregistry: {{source: /nowhere}}\n")
    memory.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(memory))
    monkeypatch.setenv("STATE_DIRECTORY", "/nowhere")
    monkeypatch.setattr(failure_mail, "restarts", lambda: 3)
    terminal.output("idtone-failed", "-c", str(settings))
    assert sent.exists()
    sent.unlink()
    terminal.output("idtone-failed", "-c", str(settings))
    assert not sent.exists()

"""`idtone failed`: the mail that a unit has failed."""

from __future__ import annotations

import email
import email.policy
import re
from pathlib import Path

import pytest

from idtone.operations import failure_mail

from .. import ROOT
from ..terminal import Terminal

terminal = Terminal()


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a sendmail was given; systemd's programs say something of the unit."""
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
    terminal.shown("failed", "idtone.service")
    message = email.message_from_bytes(sent.read_bytes(), policy=email.policy.default)
    assert message["To"] == "root"
    assert "idtone.service が異常終了しました / has failed" in message["Subject"]
    text = message.get_body().get_content()
    assert "log of idtone.service: 設定" in text
    assert "idtone doctor" in text
    monkeypatch.setenv(failure_mail.TO, "noc@example.jp")
    terminal.shown("failed", "idtone-doctor.service")
    assert b"To: noc@example.jp" in sent.read_bytes()


def test_without_a_sendmail_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_mail, "_PATH", str(tmp_path))
    assert "there is no sendmail" in terminal.error("failed", "idtone.service")


def test_the_units_send_it_and_the_package_has_them() -> None:
    rules, prerm = (ROOT / "debian" / name for name in ("rules", "idtone.prerm"))
    for name in ("idtone", "idtone-doctor"):
        assert "OnFailure=idtone-failed@%n.service\n" in (ROOT / "config" / f"{name}.service").read_text()
    assert "Wants=idtone-registry.timer idtone-doctor.timer\n" in (ROOT / "config/idtone.service").read_text()
    for name in ("idtone-doctor.service", "idtone-doctor.timer", "idtone-failed@.service"):
        assert re.search(rf"config/{name} (> )?debian/idtone\.{name}\n", rules.read_text())
    assert "idtone-doctor.timer idtone-doctor.service" in prerm.read_text()

"""Whether Asterisk has the right hook."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone import dialplan
from idtone.cli import app
from idtone.operations.doctor import hook
from idtone.operations.doctor.exam import Exam
from idtone.operations.doctor.findings import State
from idtone.operations.doctor.modules import FIRST
from idtone.settings import load_settings

SOUNDS = Path("/var/lib/asterisk/sounds/idtone")
NOTICE = dialplan.Notice("400/100,0/100", 400)
JOURNAL = SOUNDS / "journal"
ASKING = dialplan.Asking("ari", "agi://127.0.0.1:4573/", "", 20, "shed")
EXPECTED = dialplan.hook(SOUNDS, JOURNAL, NOTICE, ASKING)
OTHER = dialplan.hook(Path("/srv/sounds"), JOURNAL, NOTICE, ASKING)
RUNNING = frozenset(FIRST["res_ari"]) | {"res_ari", "res_ari_model"}
BOTH = frozenset({"idtone-called", "idtone-forward"})
ETC = Path("/etc/asterisk")


def test_different_texts_have_different_digests():
    assert EXPECTED.digest != OTHER.digest
    assert dialplan.hook(SOUNDS, JOURNAL, NOTICE, ASKING) == EXPECTED
    assert dialplan.hook(SOUNDS, Path("/srv/journal"), NOTICE, ASKING).digest != EXPECTED.digest
    assert f"\n{dialplan.HOOK_GLOBAL}={EXPECTED.digest}\n" in EXPECTED.text
    assert "@DIGEST@" not in EXPECTED.text


@pytest.mark.parametrize(
    ("digest", "sounds", "contexts", "state", "found"),
    [
        (EXPECTED.digest, str(SOUNDS), BOTH, State.GOOD, EXPECTED.digest),
        (EXPECTED.digest, str(SOUNDS), None, State.UNKNOWN, EXPECTED.digest),
        (EXPECTED.digest, str(SOUNDS), frozenset(), State.BAD, "it only has the variables of an earlier one"),
        (EXPECTED.digest, str(SOUNDS), BOTH - {"idtone-forward"}, State.BAD, "the dialplan has no idtone-forward"),
        (EXPECTED.digest, str(SOUNDS), BOTH - {"idtone-called"}, State.BAD, "the dialplan has no idtone-called"),
        ("", "", frozenset(), State.BAD, "not loaded the hook"),
        ("", "", None, State.BAD, "not loaded the hook"),
        ("", str(SOUNDS), BOTH, State.BAD, "another version or has other settings (older"),
        ("0123456789abcdef", str(SOUNDS), BOTH, State.BAD, "0123456789abcdef"),
        ("0123456789abcdef", str(SOUNDS), None, State.BAD, "0123456789abcdef"),
        (OTHER.digest, "/srv/sounds", BOTH, State.BAD, "the sounds in /srv/sounds"),
    ],
)
def test_the_loaded_hook(digest, sounds, contexts, state, found):
    finding = hook.loaded(EXPECTED, digest, sounds, contexts, RUNNING, SOUNDS, ETC, Path("/etc/my settings.yaml"))
    assert finding.state is state
    assert found in finding.found
    if state is State.BAD:
        assert "idtone dialplan export -c '/etc/my settings.yaml' /etc/asterisk && " in finding.remedy
        assert "asterisk -rx 'dialplan reload'" in finding.remedy
    if "not loaded the hook" in found or "the dialplan has no" in found or "of an earlier one" in found:
        assert "In /etc/asterisk/extensions.conf: `#include idtone.conf`" in finding.remedy
    if state is State.UNKNOWN:
        assert finding.remedy.startswith(
            "asterisk -rx 'module load res_stasis_device_state'; asterisk -rx 'module load res_ari_device_states'; and "
        )


@pytest.mark.parametrize(
    ("text", "trouble", "state", "found"),
    [
        (EXPECTED.text, "", State.GOOD, "unmodified"),
        (EXPECTED.text + "\n; mine\n", "", State.BAD, "changed after its export"),
        (
            EXPECTED.text.replace("TIMEOUT(absolute)=3", "TIMEOUT(absolute)=9"),
            "",
            State.BAD,
            "changed after its export",
        ),
        (OTHER.text, "", State.BAD, "another version or has other settings"),
        ("", "", State.BAD, "another version"),
        (None, "Permission denied", State.UNKNOWN, "Permission denied"),
        (None, "", State.WARNING, "/etc/asterisk/idtone.conf does not exist"),
    ],
)
def test_the_file(text, trouble, state, found):
    finding = hook.file(EXPECTED, text, trouble, ETC / "idtone.conf", None)
    assert finding.state is state
    assert found in finding.found
    if state is State.BAD:
        assert finding.remedy == "idtone dialplan export /etc/asterisk && asterisk -rx 'dialplan reload'"


@pytest.mark.parametrize(
    ("including", "loaded", "state"),
    [
        ([ETC / "extensions.conf"], True, State.GOOD),
        ([], True, State.WARNING),
        ([], False, State.BAD),
        (None, True, State.UNKNOWN),
    ],
)
def test_the_include(including, loaded, state):
    finding = hook.include(including, ETC, loaded)
    assert finding.state is state
    if including == []:
        assert "In /etc/asterisk/extensions.conf: `#include idtone.conf`" in finding.remedy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "interface: agi\nari: {password: sesame-open-now}\n",
        "journal: {directory: /var/spool/idtone}\n",
        "agi: {listen: '127.0.0.1:4999'}\n",
        "agi: {listen: unix:/run/idtone/agi.sock}\n",
        "sounds: {directory: /srv/音}\n",
    ],
)
def test_the_expected_hook_is_the_exported_one(tmp_path, monkeypatch, text):
    monkeypatch.delenv("IDTONE_SOUNDS_DIRECTORY", raising=False)
    config = tmp_path / "idtone.yaml"
    config.write_text(text)
    assert CliRunner().invoke(app, ["dialplan", "export", str(tmp_path), "-c", str(config)]).exit_code == 0
    exam = Exam(load_settings(config), config, None, {}, lambda: datetime.now(UTC))
    assert (tmp_path / "idtone.conf").read_text("utf-8") == exam.hook().text

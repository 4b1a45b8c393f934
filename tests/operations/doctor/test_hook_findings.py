"""The check that Asterisk has the right hook."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone import dialplan
from idtone.cli import app
from idtone.core.settings.settings import load_settings
from idtone.operations.doctor import hook_findings
from idtone.operations.doctor.asterisk_modules import FIRST
from idtone.operations.doctor.check_inputs import CheckInputs
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, WARNING, check

SOUNDS = Path("/var/lib/asterisk/sounds/idtone")
NOTICE = dialplan.Notice("400/100,0/100", 400)
JOURNAL = SOUNDS / "journal"
ASKING = dialplan.RequestParameters("ari", "agi://127.0.0.1:4573/", "", 20, "shed")
ALONE = dialplan.FallbackParameters("notice", 21, "called", "called", answer_first=False)
EXPECTED = dialplan.hook(SOUNDS, JOURNAL, NOTICE, ASKING, ALONE)
OTHER = dialplan.hook(Path("/srv/sounds"), JOURNAL, NOTICE, ASKING, ALONE)
RUNNING = frozenset(FIRST["res_ari"]) | {"res_ari", "res_ari_model"}
BOTH = frozenset({"idtone-called", "idtone-forward"})
ETC = Path("/etc/asterisk")


def test_different_texts_have_different_digests():
    assert EXPECTED.digest != OTHER.digest
    assert dialplan.hook(SOUNDS, JOURNAL, NOTICE, ASKING, ALONE) == EXPECTED
    assert dialplan.hook(SOUNDS, Path("/srv/journal"), NOTICE, ASKING, ALONE).digest != EXPECTED.digest
    assert f"\n{dialplan.HOOK_GLOBAL}={EXPECTED.digest}\n" in EXPECTED.text
    assert "@DIGEST@" not in EXPECTED.text


AGAIN = "idtone dialplan export -c '/etc/my settings.yaml' /etc/asterisk && "
RELOAD = "asterisk -rx 'dialplan reload'"
LOAD = "asterisk -rx 'module load res_stasis_device_state'; asterisk -rx 'module load res_ari_device_states'; and "


def loaded(digest, sounds, contexts):
    return hook_findings.loaded_hook(
        EXPECTED, digest, sounds, contexts, RUNNING, SOUNDS, ETC, Path("/etc/my settings.yaml")
    )


REMEDY = "idtone dialplan export /etc/asterisk && asterisk -rx 'dialplan reload'"
INCLUDE = "In /etc/asterisk/extensions.conf: `#include idtone.conf`"


def file(text, trouble=""):
    return hook_findings.hook_file(EXPECTED, text, trouble, ETC / "idtone.conf", None)


def include(including, is_loaded):
    return hook_findings.hook_include(including, ETC, is_loaded)


TABLE = {
    # the digest and the folder of the sounds that Asterisk has, and its contexts
    loaded: [
        ((EXPECTED.digest, str(SOUNDS), BOTH), GOOD, EXPECTED.digest),
        ((EXPECTED.digest, str(SOUNDS), None), UNKNOWN, EXPECTED.digest, LOAD),
        *(
            (observed, BAD, found, AGAIN, RELOAD, INCLUDE)
            for observed, found in (
                ((EXPECTED.digest, str(SOUNDS), frozenset()), "it only has the variables of an earlier one"),
                ((EXPECTED.digest, str(SOUNDS), BOTH - {"idtone-forward"}), "the dialplan has no idtone-forward"),
                ((EXPECTED.digest, str(SOUNDS), BOTH - {"idtone-called"}), "the dialplan has no idtone-called"),
                (("", "", frozenset()), "not loaded the hook"),
                (("", "", None), "not loaded the hook"),
            )
        ),
        (("", str(SOUNDS), BOTH), BAD, "another version or has other settings (older", AGAIN, RELOAD),
        (("0123456789abcdef", str(SOUNDS), BOTH), BAD, "0123456789abcdef", AGAIN, RELOAD),
        (("0123456789abcdef", str(SOUNDS), None), BAD, "0123456789abcdef", AGAIN, RELOAD),
        ((OTHER.digest, "/srv/sounds", BOTH), BAD, "the sounds in /srv/sounds", AGAIN, RELOAD),
    ],
    file: [
        ((EXPECTED.text,), GOOD, "unmodified"),
        ((EXPECTED.text + "\n; mine\n",), BAD, "changed after its export", REMEDY),
        ((EXPECTED.text.replace("TIMEOUT(absolute)=3", "TIMEOUT(absolute)=9"),), BAD, "changed after its", REMEDY),
        ((OTHER.text,), BAD, "another version or has other settings", REMEDY),
        (("",), BAD, "another version", REMEDY),
        ((None, "Permission denied"), UNKNOWN, "Permission denied"),
        ((None,), WARNING, "/etc/asterisk/idtone.conf does not exist"),
    ],
    include: [
        (([ETC / "extensions.conf"], True), GOOD),
        (([], True), WARNING, "", INCLUDE),
        (([], False), BAD, "", INCLUDE),
        ((None, True), UNKNOWN),
    ],
}


@pytest.mark.parametrize("rule", TABLE)
def test_findings(rule):
    check(rule, TABLE[rule])


def test_the_expected_hook_is_the_exported_one(tmp_path, monkeypatch):
    monkeypatch.delenv("IDTONE_SOUNDS_DIRECTORY", raising=False)
    config = tmp_path / "idtone.yaml"
    for text in (
        "",
        "interface: agi\nari: {password: sesame-open-now}\n",
        "journal: {directory: /var/spool/idtone}\n",
        "agi: {listen: '127.0.0.1:4999'}\n",
        "agi: {listen: unix:/run/idtone/agi.sock}\n",
        "sounds: {directory: /srv/音}\n",
    ):
        config.write_text(text)
        assert CliRunner().invoke(app, ["dialplan", "export", str(tmp_path), "-c", str(config)]).exit_code == 0
        inputs = CheckInputs(load_settings(config), config, None, {}, lambda: datetime.now(UTC))
        assert (tmp_path / "idtone.conf").read_text("utf-8") == inputs.hook().text, text
        (tmp_path / "idtone.conf").unlink()

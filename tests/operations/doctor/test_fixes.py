"""`idtone doctor --fix` on a real PBX: each test makes faults, --fix corrects them, and the doctor checks again."""

import json
import os
import re
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from idtone.cli import app
from idtone.core.settings.settings import load_settings
from idtone.operations.doctor import findings
from idtone.operations.doctor.check_inputs import CheckInputs
from idtone.operations.doctor.findings import TOPICS, Finding
from idtone.operations.doctor.fixes import FIXES, plan
from idtone.operations.make_changes import RECORD
from idtone.operations.planned_changes import MARK, Group, RightsChange
from lab.operations.doctor.run_doctor import OF_THE_MACHINE, edited_file, run
from lab.service import Service


def test_the_table_decides_for_every_topic():
    assert list(FIXES) == list(TOPICS)
    for fix in FIXES.values():
        assert fix.left.endswith(".")


@pytest.fixture(autouse=True)
def program(pbx: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab's Asterisk as the program `asterisk` in PATH."""
    monkeypatch.setenv("PATH", pbx.asterisk.in_path(tmp_path))
    return tmp_path / "asterisk"


def fix(service: Service, *arguments: str, **settings: str | Path) -> dict[str, Any]:
    copies = service.asterisk.scratch / "copies"
    _, output = run(service, "--fix", "--json", "--copies", str(copies), *arguments, **settings)
    assert service.asterisk.ari_password not in output
    result: dict[str, Any] = json.loads(output)
    return result


def bad(result: dict[str, Any]) -> set[str]:
    return {finding["id"] for finding in result["findings"] if finding["state"] != "good"} - OF_THE_MACHINE


def secret(service: Service) -> str:
    text = (service.asterisk.etc / "idtone.conf").read_text()
    return re.findall("IDTONE_AGI_SECRET=(.+)", text)[0]


def test_a_correct_pbx_is_not_changed(pbx):
    result = fix(pbx, "--yes")
    assert result["changes"] == []
    assert bad(result) == set()
    assert set(result["left"]) <= OF_THE_MACHINE
    assert not (pbx.asterisk.scratch / "copies").exists()


def test_faults_of_every_kind_are_corrected_at_once(pbx):
    etc, sounds = pbx.asterisk.etc, pbx.asterisk.sounds
    journal, password = sounds / "journal" / "calls", pbx.asterisk.scratch / "ari.password"
    extensions = (etc / "extensions.conf").read_text()
    with (
        edited_file(etc / "idtone.conf", lambda text: text.replace("(absolute)=3", "(absolute)=9")),
        edited_file(etc / "extensions.conf", lambda text: text.replace("#include idtone.conf\n", "; mine\n")),
        edited_file(etc / "modules.conf", lambda text: text.replace("load = func_cut.so\n", "")),
    ):
        pbx.asterisk.command("dialplan reload")
        for module in ("func_cut", "func_cdr"):
            assert "Unloaded" in pbx.asterisk.command(f"module unload {module}.so")
        password.chmod(0o644)
        journal.chmod(0o622)
        broken = {"hook-loaded", "hook-file", "hook-include", "asterisk-modules", "cdr", "ari-password", "journal"}

        preview = fix(pbx)
        assert bad(preview) == broken
        assert all(change["made"] is None for change in preview["changes"])
        assert "(absolute)=9" in (etc / "idtone.conf").read_text(), "a preview changes nothing"
        assert secret(pbx) not in json.dumps(preview)
        assert not (pbx.asterisk.scratch / "copies").exists()

        result = fix(pbx, "--yes")
        assert [change["trouble"] for change in result["changes"]] == [None] * len(result["changes"])
        assert {topic for change in result["changes"] for topic in change["ids"]} == broken
        assert bad(result) == set()
        assert MARK in (etc / "extensions.conf").read_text()
        assert f"{MARK}\nload = func_cut.so\n" in (etc / "modules.conf").read_text(), "at the next start too"
        assert "func_cdr" in (etc / "modules.conf").read_text()
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert stat.S_IMODE(journal.stat().st_mode) == 0o620
        assert stat.S_IMODE((etc / "idtone.conf").stat().st_mode) == 0o640

        (folder,) = {change["copies"] for change in result["changes"] if change["copies"]}
        record = json.loads(Path(folder, RECORD).read_text())
        assert record["command"] == "doctor"
        kept = {Path(entry["path"]).name: entry for entry in record["entries"] if "path" in entry}
        assert "(absolute)=9" in Path(folder, kept["idtone.conf"]["copy"]).read_text()
        assert Path(folder, kept["extensions.conf"]["copy"]).read_text() == extensions.replace(
            "#include idtone.conf\n", "; mine\n"
        )
        assert kept["ari.password"]["rights"][0] == 0o644

        assert fix(pbx, "--yes")["changes"] == [], "the second time there is nothing to do"
    pbx.asterisk.command("dialplan reload")
    shutil.rmtree(pbx.asterisk.scratch / "copies")


def test_a_module_with_a_noload_stays_unloaded(pbx):
    with edited_file(pbx.asterisk.etc / "modules.conf", lambda text: f"{text}noload = func_cut.so\n"):
        pbx.asterisk.command("module unload func_cut.so")
        result = fix(pbx, "--yes")
        assert result["changes"] == []
        assert "noload" in result["left"]["asterisk-modules"]
    pbx.asterisk.command("module load func_cut.so")


def test_a_file_that_is_not_idtones_is_not_overwritten(pbx):
    with edited_file(pbx.asterisk.etc / "idtone.conf", lambda text: "[mine]\nexten = 1,1,Hangup()\n"):
        result = fix(pbx, "--yes")
        assert result["changes"] == []
        assert "is not idtone's" in result["left"]["hook-file"]
        assert (pbx.asterisk.etc / "idtone.conf").read_text().startswith("[mine]")


def test_freepbx_writes_extensions_conf_itself(pbx):
    etc = pbx.asterisk.etc
    custom = etc / "extensions_custom.conf"
    custom.write_text("[from-internal-custom]\n")
    try:
        with edited_file(
            etc / "extensions.conf",
            lambda text: text.replace("#include idtone.conf", "#include extensions_custom.conf"),
        ):
            pbx.asterisk.command("dialplan reload")
            result = fix(pbx, "--yes")
            assert bad(result) == set()
            assert custom.read_text() == f"{MARK}\n#include idtone.conf\n[from-internal-custom]\n"
            assert MARK not in (etc / "extensions.conf").read_text()
    finally:
        custom.unlink()
        pbx.asterisk.command("dialplan reload")
        shutil.rmtree(pbx.asterisk.scratch / "copies")


def test_a_copy_of_the_configuration_is_not_changed(pbx, tmp_path):
    copy = tmp_path / "etc"
    shutil.copytree(pbx.asterisk.etc, copy)
    (copy / "extensions.conf").write_text("[a]\n")
    result = fix(pbx, "--yes", "--asterisk-etc", str(copy))
    assert result["changes"] == []
    assert "hook-include" in result["left"]
    assert (copy / "extensions.conf").read_text() == "[a]\n"


def test_an_asterisk_that_does_not_reload_leaves_everything_as_it_was(pbx, program):
    """The program in PATH fails to reload, because the real Asterisk does not do so on demand."""
    real = program.read_text()
    program.write_text(real.replace("exec ", 'case "$*" in *"dialplan reload") echo Failed.; exit 1;; esac\nexec '))
    path = pbx.asterisk.etc / "idtone.conf"
    with edited_file(path, lambda text: text.replace("(absolute)=3", "(absolute)=9")):
        before = path.read_bytes(), path.stat().st_mode
        result = fix(pbx, "--yes")
        (change,) = result["changes"]
        assert change["made"] is False
        assert "everything is as before" in change["trouble"]
        assert (path.read_bytes(), path.stat().st_mode) == before
        assert bad(result) == {"hook-file"}
    shutil.rmtree(pbx.asterisk.scratch / "copies")


def planned(service: Service, *findings: Finding) -> tuple[list[Group], dict[str, str]]:
    inputs = CheckInputs(
        load_settings(service.settings), service.settings, service.asterisk.etc, {}, lambda: datetime.now(UTC)
    )
    inputs.look(service.asterisk.ari_password)
    return plan(inputs, findings)


def test_a_folder_with_other_files_keeps_its_rights(pbx):
    """The settings may name a folder that other programs use too."""
    sounds = pbx.asterisk.sounds
    change = RightsChange(sounds, 0o2751)
    finding = findings.bad("sounds-writable", "closed", str(change), change)
    groups, left = planned(pbx, finding)
    assert [group.changes for group in groups] == [(change,)]
    assert left == {}
    (sounds / "moh.wav").write_bytes(b"")
    try:
        groups, left = planned(pbx, finding)
    finally:
        (sounds / "moh.wav").unlink()
    assert groups == []
    assert left == {"sounds-writable": f"{sounds} has a file that is not idtone's: moh.wav"}


def test_a_password_file_of_another_user_keeps_its_rights(pbx):
    """The service may be able to read the file through its group."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    password = pbx.asterisk.scratch / "ari.password"
    change = RightsChange(password, 0o600)
    password.chmod(0o640)
    finding = findings.warning("ari-password", "a group can read it", str(change), change)
    try:
        assert [group.ids for group in planned(pbx, finding)[0]] == [("ari-password",)]
        os.chown(password, 1, -1)
        groups, left = planned(pbx, finding)
    finally:
        os.chown(password, 0, -1)
        password.chmod(0o600)
    assert groups == []
    assert "if the service owns it" in left["ari-password"]


def test_people_see_the_changes_and_are_asked(pbx):
    password = pbx.asterisk.scratch / "ari.password"
    command = ["doctor", "-c", str(pbx.settings), "--fix", "--copies", str(pbx.asterisk.scratch / "copies")]
    environment = {"COLUMNS": "200"}

    def answer(text: str) -> tuple[int, str]:
        ended = CliRunner().invoke(app, command, input=text, env=environment)
        return ended.exit_code, ended.output

    password.chmod(0o644)
    code, output = answer("n\n")
    assert code == 1
    assert f"  chmod 600 {password}\n" in output
    assert "Make these changes?" in output
    assert stat.S_IMODE(password.stat().st_mode) == 0o644
    code, output = answer("y\n")
    assert code == 0, output
    assert "changed: Password of the ARI user\n" in output
    assert re.search("good +Password of the ARI user", output)
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    code, output = answer("")
    assert code == 0
    assert "There is nothing to change" in output
    assert "Make these changes?" not in output
    shutil.rmtree(pbx.asterisk.scratch / "copies")


def test_options_of_fix_need_fix(pbx):
    ended = CliRunner().invoke(app, ["doctor", "-c", str(pbx.settings), "--yes"])
    assert "belong to --fix" in str(ended.exception)

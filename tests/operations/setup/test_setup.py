"""`idtone setup` on a real Asterisk: from a bare configuration to a call that is heard, and back."""

import json
import os
import platform
import re
import resource
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from idtone.cli import app
from idtone.core.errors import UsageError
from idtone.operations.make_changes import RECORD
from idtone.operations.planned_changes import MARK
from idtone.operations.setup.plan_setup import SetupOptions, _settings, is_new, own_file, packaged_settings
from lab.asterisk import MODULES
from lab.asterisk_installation import AsteriskInstallation
from lab.lab import LICENSED
from lab.nightly_tests import rest_in_breadth
from lab.operations.bare_asterisk import ALL_MODULES, EXTENSIONS, NEW, USER, Pbx, bare_asterisk
from lab.operations.doctor.run_doctor import modules_conf
from lab.publication import LAB_REGISTRY, MEMBER

CALL = ("setup", "--user", USER, "--yes", "--call")


@pytest.fixture(scope="module")
def shared(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    with bare_asterisk(installation, tmp_path_factory.mktemp("bare"), ALL_MODULES) as pbx:
        yield pbx


@pytest.fixture
def pbx(shared: Pbx) -> Iterator[Pbx]:
    """A PBX that several tests share.

    After each test it has its own files again, and none of idtone's.
    """
    before = shared.files()
    yield shared
    shared.undo()
    for name, (content, _) in before.items():
        (shared.etc / name).write_bytes(content)
    for folder in (shared.config.parent, shared.scratch / "copies", shared.sounds):
        shutil.rmtree(folder, ignore_errors=True)
    shared.asterisk.command("core reload")


@pytest.mark.breadth
def test_from_a_bare_asterisk_to_a_call_that_is_heard_and_back(installation, tmp_path):
    with bare_asterisk(installation, tmp_path) as pbx:
        before = pbx.files()
        preview = pbx.setup(*NEW[1:])
        assert all(change["made"] is None for change in preview["changes"])
        assert pbx.files() == before, "a preview changes nothing"
        assert not pbx.config.exists()

        result = pbx.setup(*NEW)
        topics = [topic for change in result["changes"] for topic in change["ids"]]
        assert topics == ["settings", "http", "ari", "modules", "sounds", "hook"]
        password = pbx.config.with_name("ari.password")
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert len(password.read_text().strip()) >= 32
        assert stat.S_IMODE((pbx.etc / "ari.conf").stat().st_mode) == 0o640, "it has the password"
        assert "Bound to 127.0.0.1:" in pbx.asterisk.command("http show status")

        with pbx.serving():
            code, output = pbx.run(*CALL, text=f"{LICENSED}\n")
            assert code == 0, output
            assert "Nothing is missing that setup can add." in output
            assert "the called extension received sample (conforms); the hook returned CONNECTED" in output
            assert LICENSED not in output
        assert "idtone-trial" not in pbx.asterisk.command("dialplan show")
        assert not list((tmp_path / "spool").glob("idtone-trial*"))
        assert "app_record.so" not in pbx.asterisk.command("module show like app_record")

        code, output = pbx.run(*CALL, text=f"{LICENSED}\n")
        assert "received notice (conforms); the hook returned CONNECTED, service-unavailable" in output
        assert code == 1, "the service does not run"

        for wrong in ("0312345678,110", "110", ""):
            with pytest.raises(UsageError, match="needs a forwarding number") as caught:
                pbx.run(*CALL, text=f"{wrong}\n")
            assert wrong == "" or wrong not in str(caught.value)
        with pytest.raises(UsageError, match=r"has another registry\.source; change it there"):
            pbx.run("setup", "--user", USER, "--yes", "--registry", "/etc/idtone/other")
        assert pbx.setup(*NEW)["changes"] == [], "the second time nothing is missing"

        undone = pbx.undo()
        assert pbx.files() == before
        assert undone["left"] == {str(place): "it has files" for place in (pbx.sounds, *list(pbx.sounds.parents)[:2])}
        assert not pbx.config.exists()
        assert "idtone-forward" not in pbx.asterisk.command("dialplan show")
        assert pbx.undo()["runs"] == [], "it is undone once"


@pytest.mark.nightly
def test_the_ten_usual_mistakes(installation, tmp_path):
    """Each mistake leaves calls without their sound.

    `idtone setup` and `idtone doctor --fix` correct all of them.
    """
    files = {
        "ari.conf": "[general]\nenabled = no\n[idtone]\ntype = user\npassword = the-right-password-1234\n",  # 1
        "http.conf": "[general]\nenabled = no\nbindaddr = 0.0.0.0\nbindport = {port}\n",  # 2 disabled, and 3 open
        "extensions.conf": "[incoming]\nexten = _X.,1,Hangup()\n",  # 4 the hook is not included
        "idtone.conf": "[globals]\nIDTONE_HOOK=0123456789abcdef\n[idtone-forward]\nexten = s,1,Hangup()\n",  # 5 old
        **modules_conf(*(name for name in MODULES if name not in ("func_cut", "app_stasis"))),  # 6
    }
    template, files["http.conf"] = files["http.conf"], ""
    with bare_asterisk(installation, tmp_path, files) as pbx:
        (pbx.etc / "http.conf").write_text(template.format(port=pbx.asterisk.http_port))
        pbx.config.parent.mkdir()
        password = pbx.config.with_name("ari.password")
        pbx.config.write_text(
            f"ari: {{url: 'http://127.0.0.1:{pbx.asterisk.http_port}/ari', password_file: {password}}}\n"
            f"registry: {{source: {LAB_REGISTRY}, trust: unsigned}}\nassociation: {{member: {MEMBER}}}\n"
        )
        settings = pbx.config.read_text()
        password.write_text("the-wrong-password-12345\n")  # 7, and 8: the sounds' folder is missing
        pbx.setup("--yes")
        assert pbx.config.read_text() == settings, "settings that exist stay"
        assert password.read_text() == "the-right-password-1234\n"
        assert "Bound to 127.0.0.1:" in pbx.asterisk.command("http show status")
        with pbx.serving():
            password.chmod(0o644)  # 9
            (pbx.sounds / "journal" / "calls").chmod(0o622)  # 10
            code, output = pbx.run("doctor", "--fix", "--yes", "--json")
            assert code == 0, output
            assert len(json.loads(output)["changes"]) == 2
            _, output = pbx.run(*CALL, text=f"{LICENSED}\n")
        assert "received sample (conforms); the hook returned CONNECTED, licence-valid" in output


FREEPBX = ALL_MODULES | {
    "ari.conf": "[general]\nenabled = no\n#include ari_general_custom.conf\n#include ari_additional_custom.conf\n",
    "ari_general_custom.conf": "",
    "ari_additional_custom.conf": "[other]\ntype = user\npassword = other\n",
    "http.conf": "[general]\nenabled = no\n#include http_custom.conf\n",
    "http_custom.conf": "",
    "extensions.conf": "#include extensions_custom.conf\n[from-internal]\nexten = _X.,1,Hangup()\n",
    "extensions_custom.conf": "[from-internal-custom]\n",
}
"""Files as in FreePBX, without the ones that it generates."""


def test_freepbx_keeps_its_files(installation, tmp_path):
    with bare_asterisk(installation, tmp_path, FREEPBX) as pbx:
        (pbx.etc / "http_custom.conf").write_text(f"bindport = {pbx.asterisk.http_port}\n")
        before = pbx.files()
        result = pbx.setup(*NEW)
        assert result["distribution"] == "FreePBX"
        after = pbx.files()
        changed = {name for name in after if after[name] != before.get(name)}
        assert changed == {
            "ari_general_custom.conf",
            "ari_additional_custom.conf",
            "http_custom.conf",
            "extensions_custom.conf",
            "idtone.conf",
        }
        assert "Bound to 127.0.0.1:" in pbx.asterisk.command("http show status")
        shown = pbx.run("setup", "--user", USER, "--yes")[1]
        assert ", FreePBX\n" in shown
        assert "Nothing is missing that setup can add." in shown
        not_good = {finding["id"] for finding in result["findings"]}
        assert not not_good & {"ari", "ari-rights", "asterisk-modules", "hook-file", "hook-include", "hook-loaded"}


@pytest.mark.nightly
def test_the_settings_of_a_package_are_filled_in_and_those_of_the_operator_are_not(pbx):
    pbx.config.parent.mkdir()
    shipped = packaged_settings()
    pbx.config.write_text(shipped)
    pbx.config.with_name("ari.password").touch()
    pbx.setup(*NEW)
    assert pbx.config.read_text() == shipped, "an upgrade of the package can replace it"
    written = yaml.safe_load(own_file(pbx.config).read_text())
    assert written["registry"] == {"source": str(LAB_REGISTRY), "trust": "unsigned"}
    assert (written["node"], written["association"]) == (platform.node(), {"member": MEMBER})
    assert pbx.config.with_name("ari.password").read_text()
    assert not pbx.setup("--yes")["changes"]
    with pytest.raises(UsageError, match=r"10-setup\.yaml has another registry\.source"):
        pbx.setup("--yes", "--registry", "/etc/idtone/other")
    pbx.undo()
    assert pbx.config.read_text() == shipped
    assert not own_file(pbx.config).parent.exists()
    pbx.config.write_text(f"{shipped}# mine\n")
    with pytest.raises(UsageError, match=r"has another registry\.source"):
        pbx.setup(*NEW)


def test_what_the_operator_has_written_since_is_not_undone(pbx):
    pbx.setup(*NEW)
    extensions, http = pbx.etc / "extensions.conf", pbx.etc / "http.conf"
    extensions.write_text(extensions.read_text() + "[mine]\nexten = 1,1,Hangup()\n")
    http.write_text(http.read_text().replace("bindaddr", "; mine\nbindaddr"))
    own = own_file(pbx.config)
    own.write_text(own.read_text() + "# mine\n")
    undone = pbx.undo()
    assert extensions.read_text() == EXTENSIONS + "[mine]\nexten = 1,1,Hangup()\n", "only our lines are removed"
    assert "it was changed since" in undone["left"][str(http)]
    assert MARK in http.read_text()
    (kept,) = (pbx.scratch / "copies").glob("*/*-10-setup.yaml.undone")
    assert kept.read_text().endswith("# mine\n")


@rest_in_breadth(
    ("file", "line"),
    [
        ("extensions.conf", "exten = 1,1,Gosub(idtone-forward,s,1(PJSIP/a,0312345678))"),
        ("extensions_mine.conf", "same = n,Dial(PJSIP/a\\;b,30,U(idtone-called^0312345678))"),
        ("queues.conf", "membergosub = idtone-called"),
    ],
)
def test_a_hook_that_the_dialplan_calls_is_not_undone(pbx: Pbx, file: str, line: str) -> None:
    pbx.setup(*NEW)
    path, other = pbx.etc / file, "; Gosub(idtone-forward,s,1) is a comment\n"
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}{other}[mine]\n{line}\n")
    held = pbx.files()
    with pytest.raises(UsageError, match=rf"still calls the hook, .*: {path}:{before.count(chr(10)) + 3};"):
        pbx.undo()
    assert pbx.files() == held
    path.write_text(before + other)
    assert pbx.undo()["restored"]
    if not before:
        path.unlink()


def test_the_limit_of_open_files_is_raised_and_undo_takes_it_back(pbx, tmp_path, monkeypatch):
    """systemd does not run in the lab.

    Programs in PATH replace it and record their arguments.
    """
    process, units, asked = pbx.asterisk.process.pid, tmp_path / "units", tmp_path / "asked"
    pbx.setup(*NEW)
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        result = pbx.setup("--yes")
        assert result["changes"] == []
        assert "1024 open files carry 98 calls, 600 are wanted" in result["left"]["open-files"]

        for name, place in {"SYSTEMD": tmp_path, "UNITS": units, "ENABLED": tmp_path / "enabled"}.items():
            monkeypatch.setattr(f"idtone.operations.setup.plan_setup.{name}", place)
        (tmp_path / "enabled").symlink_to("idtone.service")
        monkeypatch.setattr("idtone.operations.doctor.open_file_limit.unit_of", lambda text: "asterisk.service")
        monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), os.environ["PATH"])))
        for name in ("systemctl", "prlimit"):
            (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {asked}\n')
            (tmp_path / name).chmod(0o755)
        units.mkdir()
        (change,) = pbx.setup("--yes")["changes"]
        assert change["ids"] == ["open-files"]
        drop_in = units / "asterisk.service.d" / "50-idtone.conf"
        assert drop_in.read_text() == "[Service]\nLimitNOFILE=65536\n"
        raised = f"prlimit --pid={process} --nofile=65536:65536"
        assert asked.read_text().splitlines() == ["systemctl daemon-reload", raised]
        asked.unlink()
        (change,) = pbx.setup("--yes")["changes"]
        assert change["changes"] == [raised], "the file is there; this limit was not raised"
        asked.unlink()
        undone = pbx.undo()
        assert not drop_in.parent.exists(), undone
        assert asked.read_text().splitlines() == ["systemctl daemon-reload"]
    finally:
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)


def test_systemd_starts_the_service_and_undo_stops_it(pbx, tmp_path, monkeypatch):
    """systemd does not run in the lab.

    A program in PATH replaces it, records its arguments, and fails once.
    """
    names = ("etc/idtone.service", "asked", "packaged/idtone.service", "enabled.service")
    unit, asked, packaged, enabled = (tmp_path / name for name in names)
    for folder in (unit.parent, packaged.parent):
        folder.mkdir()
    names = (
        "idtone-registry.service", "idtone-canary.service", "idtone-registry.timer", "idtone-canary.timer",
        "idtone-doctor.service", "idtone-doctor.timer", "idtone-trouble.service", "idtone-trouble.timer",
        "idtone-failed@.service", "idtone-backup.service", "idtone-backup.timer",
    )  # fmt: skip
    units = (unit, *map(unit.with_name, names))
    places = {"SYSTEMD": tmp_path, "UNIT_FILE": unit, "PACKAGED_UNIT_FILE": packaged, "ENABLED": enabled}
    for name, place in places.items():
        monkeypatch.setattr(f"idtone.operations.setup.plan_setup.{name}", place)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), os.environ["PATH"])))
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {asked}\ncase "$*" in *--now*) [ ! -e {tmp_path}/broken ];; esac\n')
    systemctl.chmod(0o755)
    (tmp_path / "broken").touch()
    code, output = pbx.run("setup", "--user", USER, "--json", *NEW)
    assert code == 1
    failed = [change for change in json.loads(output)["changes"] if change["made"] is False]
    assert [change["ids"] for change in failed] == [["service"]]
    assert "systemctl enable --now idtone failed: 1; everything is as before" in failed[0]["trouble"]
    assert not any(each.exists() for each in units)
    (tmp_path / "broken").unlink()
    asked.unlink()

    (change,) = pbx.setup("--yes")["changes"]
    assert change["ids"] == ["service"]
    assert asked.read_text().splitlines() == ["daemon-reload", "enable --now idtone"]
    for path, command in zip(units[:3], ("serve", "registry update --quiet", "canary --due"), strict=True):
        text = path.read_text()
        assert f"User={USER}\n" in text
        assert f" {command} -c {pbx.config}\n" in text
        assert re.search(rf"^ReadWritePaths=-{pbx.sounds}( -/var/spool/asterisk/outgoing)?$", text, re.MULTILINE)
    assert f" doctor --problems -c {pbx.config}\n" in units[5].read_text()
    assert "idtone-failed %i\n" in units[9].read_text()
    written = {path: path.read_text() for path in units}
    pbx.undo()
    assert not any(each.exists() for each in units)
    assert (
        "disable --now idtone idtone-registry.timer idtone-canary.timer idtone-backup.timer idtone-doctor.timer "
        "idtone-trouble.timer" in asked.read_text()
    )

    for path, text in written.items():
        (packaged.parent / path.name).write_text(text)
    asked.unlink()
    pbx.setup(*NEW)
    assert asked.read_text().splitlines() == ["enable --now idtone"]
    assert not any(each.exists() for each in units)
    enabled.symlink_to(packaged)
    assert not pbx.setup("--yes")["changes"]


def test_wrong_use(pbx):
    for arguments, message in (
        (["--user", "nobody-by-this-name"], "adduser --system --ingroup asterisk nobody-by-this-name"),
        (["--undo", "--call"], "--undo does not go with"),
    ):
        with pytest.raises(UsageError, match=message):
            pbx.run("setup", "--yes", *arguments)


def test_without_asterisk(tmp_path):
    (tmp_path / "etc").mkdir()
    ended = CliRunner().invoke(
        app, ["setup", "--asterisk-etc", str(tmp_path / "etc"), "-c", str(tmp_path / "none.yaml")]
    )
    assert "Asterisk does not answer" in str(ended.exception)


def test_a_record_that_others_can_write_is_not_followed(installation, tmp_path):
    """A record tells root which files to write, and with which content."""
    record = tmp_path / "copies" / "20260101T000000Z" / RECORD
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"command": "setup", "entries": []}))
    record.chmod(0o666)
    ended = CliRunner().invoke(app, ["setup", "--undo", "--yes", "--copies", str(tmp_path / "copies")])
    assert "others can write it" in str(ended.exception)


def test_settings_that_a_removal_left_are_kept_under_those_of_setup(tmp_path: Path) -> None:
    """The operator's remaining files name the ledger, and its evidence has the node's name."""
    config, ledger = tmp_path / "idtone.yaml", tmp_path / "ledger.sqlite3"
    folder = own_file(config).parent
    folder.mkdir()
    (folder / "60-ledger.yaml").write_text(f"ledger: {{url: 'sqlite:///{ledger}'}}\n")
    assert is_new(config)
    with closing(sqlite3.connect(ledger)) as one:
        one.execute("CREATE TABLE steps (id, node)")
        one.execute("CREATE TABLE meta (key, value)")
        one.execute("INSERT INTO steps VALUES (1, 'pbx-9')")
        one.execute("INSERT INTO meta VALUES ('checkpoint', 'pbx-9/idtone\n1\n')")
        one.commit()
    text, settings = _settings(SetupOptions(config, tmp_path, "idtone", "/registry.yaml", "unsigned", "m-1"))
    assert text is not None
    assert 'node: "pbx-9"\n' in text
    assert str(ledger) in settings.ledger.url
    assert settings.association.member == "m-1"
    (folder / "50-own.yaml").write_text("association: {member: m-2}\n")
    assert not is_new(config)

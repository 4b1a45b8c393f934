"""Changes on the PBX: their display, making and revert."""

import json
import os
import re
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.errors import ChangeError
from idtone.operations.asterisk_console import AsteriskConsole
from idtone.operations.make_changes import RECORD, Changer, inserted_text, obstacle
from idtone.operations.planned_changes import (
    HOOK_RELOAD,
    MARK,
    AsteriskChange,
    FileChange,
    FolderChange,
    RightsChange,
    module_load,
    with_include,
    with_options,
)

NOW = datetime(2026, 11, 27, 18, 38, tzinfo=UTC)


class Console(AsteriskConsole):
    """A console with prepared answers, so that Asterisk fails on demand."""

    def __init__(self, **answers: str) -> None:
        self.answers = {name.replace("_", " "): answer for name, answer in answers.items()}
        self.commands: list[str] = []

    def run(self, command: str) -> str:
        self.commands.append(command)
        return self.answers.get(command, "")


@pytest.fixture
def changer(tmp_path: Path) -> Changer:
    return Changer(Console(), tmp_path / "copies", NOW)


def rights(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def test_two_runs_of_one_second_have_two_records(tmp_path):
    for number in range(3):
        Changer(Console(), tmp_path / "copies", NOW).make([FileChange(tmp_path / f"{number}", None, b"text\n")])
    names = ["20261127T183800Z", "20261127T183800Z-2", "20261127T183800Z-3"]
    assert [path.parent.name for path in sorted(tmp_path.glob(f"copies/*/{RECORD}"))] == names


# -- shown ---------------------------------------------------------------------------------------------------------


def test_a_diff_shows_no_secret():
    before = b"[idtone]\ntype = user\npassword = old-one\n"
    after = before.replace(b"old-one", b"new-one") + b"IDTONE_AGI_SECRET=deadbeef\nread_only = no\n"
    text = str(FileChange(Path("/etc/asterisk/ari.conf"), before, after))
    assert "+read_only = no" in text
    assert "+IDTONE_AGI_SECRET=…" in text
    for secret in ("old-one", "new-one", "deadbeef"):
        assert secret not in text
    assert "another secret" in str(FileChange(Path("/x"), before, before.replace(b"old-one", b"new-one")))


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (FileChange(Path("/x"), None, b"a\n" * 50, 0o640), "new file /x, 50 lines\nchmod 640 /x"),
        (FileChange(Path("/x"), None, b"a\n"), "--- /dev/null\n+++ /x\n@@ -0,0 +1 @@\n+a"),
        (FileChange(Path("/x"), b"a", b"b", 0o600, is_secret=True), "/x: a secret, which is not shown\nchmod 600 /x"),
        (RightsChange(Path("/a b"), 0o600), "chmod 600 '/a b'"),
        (RightsChange(Path("/a"), 0o2750, "idtone", "asterisk"), "chown idtone:asterisk /a && chmod 2750 /a"),
        (RightsChange(Path("/a"), None, None, "asterisk"), "chown :asterisk /a"),
        (HOOK_RELOAD, "asterisk -rx 'dialplan reload'"),
    ],
)
def test_a_change_is_shown_briefly_and_commands_as_a_shell_takes_them(change, shown):
    assert str(change) == shown


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"; mine\n[general]\n[a]\nexten = 1\n", f"; mine\n{MARK}\n#include idtone.conf\n[general]\n[a]\nexten = 1\n"),
        (b"; mine", f"; mine\n{MARK}\n#include idtone.conf\n"),
        (b"", f"{MARK}\n#include idtone.conf\n"),
        (b"\xff\r\n [a]\n", f"\udcff\r\n{MARK}\n#include idtone.conf\n [a]\n"),
    ],
)
def test_an_include_comes_before_the_first_section(before, after):
    """After a section, later lines of the operator would belong to the hook's last section."""
    assert with_include(before, "idtone.conf") == after.encode("utf-8", "surrogateescape")


def test_options_come_into_their_section():
    before = b"[global]\n[modules] ; all\nautoload = no\n[other]\n"
    after = f"[global]\n[modules] ; all\n{MARK}\nload = a.so\nload = b.so\nautoload = no\n[other]\n"
    assert with_options(before, "modules", ["load = a.so", "load = b.so"]) == after.encode()
    assert with_options(b"[global]", "modules", ["load = a.so"]) is None


def test_equal_options_come_after_the_others():
    """Asterisk uses the last of equal options."""
    before = b"[general]\nenabled = no\n; more\nbindport = 1\n[x]\nenabled = no\n"
    after = with_options(before, "general", ["enabled = yes"])
    assert after == before.replace(b"no\n", f"no\n{MARK}\nenabled = yes\n".encode(), 1)


def test_what_was_added():
    before, after = b"[a]\n[b]\n", b"[a]\nx = 1\n[b]\n"
    assert after.replace(inserted_text(before, after), b"") == before
    assert inserted_text(before, before + b"x") == b"x"
    assert inserted_text(b"", b"x") == b"x"
    assert inserted_text(b"[a]\n[b]\n", b"[c]\n[b]\n") == b""


def test_a_module_that_is_not_running_is_not_running():
    assert re.search(module_load("x").wanted, "x.so   Cuts   0   Not Running   core") is None
    assert re.search(module_load("x").wanted, "x.so   Cuts   0   Running   core")


# -- made ----------------------------------------------------------------------------------------------------------


def test_a_changed_file_keeps_its_rights_and_a_copy(changer, tmp_path):
    path = tmp_path / "extensions.conf"
    path.write_bytes(b"[a]\n")
    path.chmod(0o604)
    before = rights(path)
    changer.make([FileChange(path, b"[a]\n", b"[b]\n")])
    assert path.read_bytes() == b"[b]\n"
    assert rights(path) == before
    assert rights(changer.folder)[0] == 0o700
    entry = json.loads((changer.folder / RECORD).read_text())["entries"][0]
    assert entry["path"] == str(path)
    assert entry["rights"] == list(before)
    assert (changer.folder / entry["copy"]).read_bytes() == b"[a]\n"
    assert rights(changer.folder / entry["copy"])[0] == 0o600


def test_a_file_that_was_changed_meanwhile_stays(changer, tmp_path):
    path = tmp_path / "extensions.conf"
    path.write_bytes(b"[c]\n")
    with pytest.raises(ChangeError, match="was changed meanwhile; run this again"):
        changer.make([FileChange(path, b"[a]\n", b"[b]\n")])
    with pytest.raises(ChangeError, match="was changed meanwhile"):
        changer.make([FileChange(path, None, b"[b]\n")])
    assert path.read_bytes() == b"[c]\n"


def test_if_one_change_fails_all_of_its_group_are_put_back(tmp_path):
    changed, new, folder, moded = (tmp_path / name for name in ("changed", "new", "folder", "moded"))
    for path in (changed, moded):
        path.write_bytes(b"before\n")
        path.chmod(0o640)
    console = Console(dialplan_reload="Command failed.")
    changer = Changer(console, tmp_path / "copies", NOW)
    me = str(os.geteuid()), str(os.getegid())
    load = AsteriskChange("module load x", "module show like x.so", "Running", "module unload x", once=True)
    console.answers |= {"module show like x.so": "x.so Running"}  # another command has loaded it meanwhile
    group = [
        load, FileChange(changed, b"before\n", b"after\n", 0o600), FileChange(new, None, b"new\n"),
        FolderChange(folder, 0o700, *me), RightsChange(moded, 0o600), HOOK_RELOAD,
    ]  # fmt: skip
    with pytest.raises(ChangeError, match=r"dialplan reload': Command failed\.; everything is as before"):
        changer.make(group)
    assert changed.read_bytes() == b"before\n"
    assert rights(changed)[0] == rights(moded)[0] == 0o640
    assert not new.exists()
    assert not folder.exists()
    assert console.commands[-1] == "dialplan reload", "again, after the files are as before"
    assert not changer.folder.exists()


def test_a_file_that_cannot_be_put_back_is_named(tmp_path, monkeypatch):
    path = tmp_path / "extensions.conf"
    path.write_bytes(b"before\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    class Failing(Console):
        def run(self, command: str) -> str:
            monkeypatch.setattr("idtone.operations.make_changes.replace_durably", full)
            return ""

    changer = Changer(Failing(), tmp_path / "copies", NOW)
    with pytest.raises(ChangeError, match=f"could not be put back: {path}; the copies have what was there"):
        changer.make([FileChange(path, b"before\n", b"after\n"), HOOK_RELOAD])
    entry = json.loads((changer.folder / RECORD).read_text())["entries"][0]
    assert (changer.folder / entry["copy"]).read_bytes() == b"before\n"


def test_without_a_place_for_copies_nothing_is_changed(tmp_path):
    path = tmp_path / "extensions.conf"
    path.write_bytes(b"before\n")
    (tmp_path / "copies").write_text("a file")
    with pytest.raises(ChangeError, match=r"no copy can be kept there: Not a directory.*--copies"):
        Changer(Console(), tmp_path / "copies", NOW).make([FileChange(path, b"before\n", b"after\n")])
    assert path.read_bytes() == b"before\n"


def test_an_unknown_user_is_named(changer, tmp_path):
    with pytest.raises(ChangeError, match="this machine has no user nobody-by-this-name"):
        changer.make([RightsChange(tmp_path, 0o700, "nobody-by-this-name")])


def test_links_are_not_followed(changer, tmp_path):
    """A link in the service's folder could lead root to any file."""
    target = tmp_path / "target"
    target.write_bytes(b"a\n")
    target.chmod(0o600)
    link, second = tmp_path / "link", tmp_path / "second"
    link.symlink_to(target)
    for change in (RightsChange(link, 0o666), FileChange(link, b"a\n", b"b\n")):
        assert obstacle(change) == f"{link} is a link"
        with pytest.raises(ChangeError, match="is a link"):
            changer.make([change])
    os.link(target, second)
    with pytest.raises(ChangeError, match="hard links"):
        changer.make([RightsChange(second, 0o666)])
    assert rights(target)[0] == 0o600
    assert target.read_bytes() == b"a\n"


def test_a_folder_that_another_user_links_is_not_entered(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a link of another user")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    change = RightsChange(tmp_path / "link" / "calls", 0o600)
    assert obstacle(change) == ""
    os.lchown(tmp_path / "link", 1, 1)
    assert obstacle(change) == f"{tmp_path / 'link'} is a link"


def test_a_file_with_an_access_control_list_is_left(tmp_path):
    path = tmp_path / "extensions.conf"
    path.write_bytes(b"a\n")
    entry = bytes.fromhex(
        "02000000 01000600ffffffff 0200040001000000 04000400ffffffff 10000400ffffffff 20000000ffffffff"
    )
    try:
        os.setxattr(path, "system.posix_acl_access", entry)
    except OSError:
        pytest.skip("this file system has no access control lists")
    assert "access control list" in obstacle(FileChange(path, b"a\n", b"b\n"))


@pytest.mark.parametrize("there", [0o600, 0o755, 0o000])
def test_a_change_of_rights_does_what_its_command_does(changer, tmp_path, there):
    one, other = tmp_path / "one", tmp_path / "other"
    group = str(os.getgid())
    for path in (one, other):
        path.mkdir()
        path.chmod(there)
    if there == 0 and os.geteuid() != 0:
        pytest.skip("only root opens such a folder")
    changer.make([RightsChange(one, 0o2750, None, group)])
    subprocess.run(["sh", "-ec", str(RightsChange(other, 0o2750, None, group))], check=True)
    assert rights(one) == rights(other)
    assert rights(one)[0] == 0o2750


def test_an_asterisk_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("idtone.operations.asterisk_console._SYSTEM_PATH", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChangeError, match="no program asterisk in PATH"):
        AsteriskConsole(tmp_path).run("core show version")
    program = tmp_path / "asterisk"
    program.write_text("#!/bin/sh\necho Unable to connect >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ChangeError, match="'core show version' failed: Unable to connect; run this as root"):
        AsteriskConsole(tmp_path).run("core show version")

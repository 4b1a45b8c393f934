"""Finding, fetching and keeping an Asterisk; a small tree of shell scripts replaces the download."""

from __future__ import annotations

import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import bootstrap
from tests.lab.bootstrap import OVERRIDE, AsteriskInstallation, AsteriskMissing, find_or_get
from tests.lab.debian import PackagesUnavailable


def program(path: Path, version: str = "22.10.1~dfsg-1") -> Path:
    """A program that answers `-V` like Asterisk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'Asterisk {version}'\n")
    path.chmod(0o755)
    return path


def tree(root: Path, version: str = "22.10.1~dfsg-1") -> Path:
    """Make an unpacked Asterisk without its own loader; return the path of its program."""
    modules = root / "usr/lib/any-linux-gnu/asterisk/modules"
    modules.mkdir(parents=True)
    (modules / "res_ari.so").write_bytes(b"module")
    (root / "usr/share/asterisk/rest-api").mkdir(parents=True)
    return program(root / "usr/sbin/asterisk", version)


class Debian:
    """Replaces `debian.fetch`, and counts its calls."""

    def __init__(self) -> None:
        self.fetched = 0
        self.failure: str | None = None

    def fetch(self, packages: list[str], into: Path, suites: tuple[str, ...]) -> str:
        self.fetched += 1
        if self.failure:
            (into / "usr").mkdir(parents=True)
            raise PackagesUnavailable(self.failure)
        tree(into)
        return suites[0]


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> Debian:
    archive = Debian()
    monkeypatch.setattr(bootstrap.debian, "fetch", archive.fetch)
    return archive


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine without Asterisk."""
    monkeypatch.setattr(bootstrap, "SYSTEM_PATH", ())
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


@pytest.fixture
def said() -> list[str]:
    return []


def get(environment: dict[str, str], said: list[str]) -> AsteriskInstallation:
    return find_or_get(said.append, environment)


def test_a_fetched_one_is_kept_and_found_again(debian, environment, said, tmp_path):
    first = get(environment, said)
    assert first.version == "22.10.1"
    kept = tmp_path / "home/.cache/idtone" / f"asterisk-22.10.1-{platform.machine()}"
    assert first.data_directory == kept / "usr/share/asterisk"
    assert (first.module_directory / "res_ari.so").is_file()
    assert subprocess.check_output([*first.command, "-V"], text=True).startswith("Asterisk 22")
    assert get(environment, said) == first
    assert debian.fetched == 1
    assert sorted(path.name for path in kept.parent.iterdir()) == [kept.name, "asterisk.lock"]


def test_two_runs_side_by_side_fetch_once(debian, environment, said):
    with ThreadPoolExecutor(4) as runs:
        found = list(runs.map(lambda _: get(environment, said), range(4)))
    assert debian.fetched == 1
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: (kept / ".complete.json").unlink(),
        lambda kept: (kept / ".complete.json").write_text('{"files":'),
        lambda kept: (kept / ".complete.json").write_text("[]"),
        lambda kept: next(kept.glob("usr/lib/*/asterisk/modules/res_ari.so")).unlink(),
        lambda kept: next(kept.glob("usr/lib/*/asterisk/modules/res_ari.so")).write_bytes(b"mod"),
        lambda kept: (kept / "usr/sbin/asterisk").chmod(0o644),
    ],
    ids=["unfinished", "cut manifest", "strange manifest", "file gone", "file cut", "does not start"],
)
def test_a_damaged_one_is_fetched_again(debian, environment, said, damage):
    first = get(environment, said)
    damage(first.data_directory.parents[2])
    assert get(environment, said) == first
    assert debian.fetched == 2
    assert any("damaged" in line for line in said)


def test_leftovers_of_a_killed_run_are_removed(debian, environment, said, tmp_path):
    leftover = tmp_path / "home/.cache/idtone/fetching-abc"
    leftover.mkdir(parents=True)
    get(environment, said)
    assert not leftover.exists()


def test_a_failed_download_says_what_to_do_and_leaves_nothing(debian, environment, said, tmp_path):
    debian.failure = "forky: no such release"
    with pytest.raises(AsteriskMissing, match=rf"(?s)forky: no such release.*Install Asterisk 20 .*{OVERRIDE}"):
        get(environment, said)
    assert [path.name for path in (tmp_path / "home/.cache/idtone").iterdir()] == ["asterisk.lock"]


def test_an_installed_one_is_taken_instead(debian, environment, said, tmp_path):
    installed = program(tmp_path / "bin/asterisk", "20.1.0")
    (tmp_path / "lib/asterisk/modules").mkdir(parents=True)
    (tmp_path / "lib/asterisk/modules/res_ari.so").touch()
    (tmp_path / "share/asterisk/rest-api").mkdir(parents=True)
    assert get(environment, said) == AsteriskInstallation(
        [str(installed)], tmp_path / "lib/asterisk/modules", tmp_path / "share/asterisk", "20.1.0", str(installed)
    )
    assert debian.fetched == 0


@pytest.mark.parametrize(("version", "found"), [("18.9.0", "18.9.0"), ("certified/18.9-cert5", "18.9")])
def test_an_installed_one_that_is_too_old_is_skipped(debian, environment, said, tmp_path, version, found):
    program(tmp_path / "bin/asterisk", version)
    assert get(environment, said).version == "22.10.1"
    assert f"is Asterisk {found}" in said[0]


@pytest.mark.parametrize("version", [None, "18.9.0"])
def test_a_named_one_that_cannot_be_used_is_an_error(debian, environment, said, tmp_path, version):
    named = tmp_path / "own/asterisk"
    if version:
        program(named, version)
    with pytest.raises(AsteriskMissing, match=OVERRIDE):
        get({**environment, OVERRIDE: str(named)}, said)
    assert debian.fetched == 0


def test_without_a_home_it_is_kept_in_a_private_temporary_folder(debian, said, tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap.tempfile, "gettempdir", lambda: str(tmp_path))
    home = tmp_path / "home"
    home.write_text("a file where the folder should be")
    kept = bootstrap.cache_directory({"HOME": str(home)}, said.append)
    assert kept == bootstrap.cache_directory({}, said.append) == tmp_path / f"idtone-{os.getuid()}"
    assert kept.stat().st_mode & 0o077 == 0
    assert "using a temporary folder" in said[0]


def test_the_folders_that_a_configuration_names_are_read(tmp_path):
    path = tmp_path / "asterisk.conf"
    path.write_text("; sample\n[directories](!)\nastmoddir => /m ; here\nastdatadir = /d\n[options]\n;verbose = 3\n")
    assert bootstrap._configured_directories(path) == {"astmoddir": Path("/m"), "astdatadir": Path("/d")}
    assert bootstrap._configured_directories(tmp_path / "none") == {}


def test_the_real_one_starts_and_has_its_modules():
    found = find_or_get()
    assert bootstrap._major(found.version) >= bootstrap.OLDEST
    assert "Asterisk" in subprocess.check_output([*found.command, "-V"], text=True)
    assert {"res_ari.so", "res_agi.so", "chan_pjsip.so"} <= {path.name for path in found.module_directory.iterdir()}

"""Fetching and keeping Debian's packages; small shell scripts replace the download."""

import fcntl
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import asterisk_installation, chromium, packages, postgresql, unpacked_packages
from lab.asterisk_installation import OVERRIDE, AsteriskInstallation, AsteriskMissing
from lab.debian_archive import PackagesUnavailable
from lab.packages import FFMPEG_ENCODERS
from lab.postgresql import PostgreSQLMissing

PROGRAM = "usr/sbin/asterisk"


def asterisk(path: Path, version: str = "22.10.1~dfsg-1") -> Path:
    """Program that answers `-V` like Asterisk."""
    return script(path, f"echo 'Asterisk {version}'")


def ffmpeg(path: Path, encoders: frozenset[str] = FFMPEG_ENCODERS) -> Path:
    """Program that lists encoders like ffmpeg."""
    return script(path, *(f"echo ' A....D {name} a coder'" for name in sorted(encoders)))


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


class Debian:
    """Replaces `debian.fetch`, and records its arguments."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.failure: str | None = None
        self.encoders = FFMPEG_ENCODERS

    def fetch(self, names: tuple[str, ...], into: Path, suites: tuple[str, ...], without: tuple[str, ...] = ()) -> str:
        self.asked.append(names)
        if self.failure:
            (into / "usr").mkdir(parents=True)
            raise PackagesUnavailable(self.failure)
        asterisk(into / PROGRAM)
        ffmpeg(into / "usr/bin/ffmpeg", self.encoders)
        modules = into / "usr/lib/any-linux-gnu/asterisk/modules"
        modules.mkdir(parents=True)
        (modules / "res_ari.so").write_bytes(b"module")
        return suites[0]


@pytest.fixture
def debian(monkeypatch):
    archive = Debian()
    monkeypatch.setattr(unpacked_packages.debian_archive, "fetch", archive.fetch)
    return archive


@pytest.fixture
def machine(tmp_path, monkeypatch, debian):
    """A machine with nothing on it, and Debian's archive, as arguments to pass on."""
    monkeypatch.setattr(asterisk_installation, "SYSTEM_PATH", ())
    said: list[str] = []
    return {"progress": said.append, "environment": {"PATH": f"{tmp_path}/bin", "HOME": f"{tmp_path}/home"}}, said


def test_fetched_packages_are_kept(machine, debian):
    here, _ = machine
    first = unpacked_packages.unpacked_tree("one", "two", **here)
    assert unpacked_packages.suite_of(first) == "trixie"
    assert unpacked_packages.unpacked_tree("one", "two", **here) == first
    assert unpacked_packages.unpacked_tree("one", **here) != first
    assert debian.asked == [("one", "two"), ("one",)]


def test_two_runs_side_by_side_fetch_once(machine, debian):
    here, _ = machine
    with ThreadPoolExecutor(4) as runs:
        found = list(runs.map(lambda _: unpacked_packages.unpacked_tree("one", **here), range(4)))
    assert len(set(found)) == len(debian.asked) == 1


def test_what_is_kept_is_there_while_another_run_fetches(machine, tmp_path):
    here, said = machine
    first = unpacked_packages.unpacked_tree("one", **here)
    said.clear()
    with (tmp_path / "home/.cache/idtone/packages.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert unpacked_packages.unpacked_tree("one", **here) == first
    assert not said


def test_two_runs_side_by_side_link_the_libraries_of_chromium(tmp_path):
    root = tmp_path / "tree"
    for number in range(300):
        (root / "usr/lib/any-linux-gnu").mkdir(parents=True, exist_ok=True)
        (root / f"usr/lib/any-linux-gnu/lib{number}.so").touch()
    began = threading.Barrier(4)

    def link(_: int) -> Path:
        began.wait()
        return chromium._libraries(root)

    with ThreadPoolExecutor(4) as runs:
        (folder,) = set(runs.map(link, range(4)))
    assert len(list(folder.iterdir())) == 300


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: (kept / PROGRAM).unlink(),
        lambda kept: (kept / PROGRAM).write_bytes(b"#!"),
        lambda kept: (kept / "usr/more").touch(),
        lambda kept: (kept / ".complete.json").unlink(),
        lambda kept: (kept / ".complete.json").write_text('{"files":'),
        lambda kept: (kept / ".complete.json").write_text("[]"),
    ],
    ids=["file gone", "file cut", "file more", "unfinished", "cut manifest", "strange manifest"],
)
def test_a_damaged_tree_is_fetched_again(machine, debian, damage):
    here, said = machine
    first = unpacked_packages.unpacked_tree("one", **here)
    damage(first)
    assert unpacked_packages.unpacked_tree("one", **here) == first
    assert len(debian.asked) == 2
    assert any("damaged" in line for line in said)


def test_leftovers_of_a_killed_run_are_removed(machine, tmp_path):
    here, _ = machine
    leftover = tmp_path / "home/.cache/idtone/unpacking-abc"
    leftover.mkdir(parents=True)
    unpacked_packages.unpacked_tree("one", **here)
    assert not leftover.exists()


def test_a_failed_download_says_what_to_do_and_leaves_nothing(machine, debian, tmp_path):
    here, _ = machine
    debian.failure = "forky: no such release"
    with pytest.raises(AsteriskMissing, match=rf"(?s)forky: no such release.*Install Asterisk 20 .*{OVERRIDE}"):
        asterisk_installation.find_or_get(**here)
    assert [path.name for path in (tmp_path / "home/.cache/idtone").iterdir()] == ["packages.lock"]


def test_without_a_home_it_is_kept_in_a_private_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacked_packages.tempfile, "gettempdir", lambda: str(tmp_path))
    home, said = tmp_path / "home", []
    home.write_text("a file where the folder should be")
    kept = unpacked_packages.cache_directory({"HOME": str(home)}, said.append)
    assert kept == unpacked_packages.cache_directory({}, said.append) == tmp_path / f"idtone-{os.getuid()}"
    assert kept.stat().st_mode & 0o077 == 0
    assert "using a temporary folder" in said[0]


# -- Asterisk ---------------------------------------------------------------------------------------------------------


def test_a_fetched_asterisk_starts(machine):
    found = asterisk_installation.find_or_get(**machine[0])
    assert found.version == "22.10.1"
    assert (found.module_directory / "res_ari.so").is_file()
    assert subprocess.check_output([*found.command, "-V"], text=True).startswith("Asterisk 22")


def test_an_installed_asterisk_is_taken_instead(machine, debian, tmp_path):
    installed = asterisk(tmp_path / "bin/asterisk", "20.1.0")
    (tmp_path / "lib/asterisk/modules").mkdir(parents=True)
    (tmp_path / "lib/asterisk/modules/res_ari.so").touch()
    (tmp_path / "share/asterisk/rest-api").mkdir(parents=True)
    assert asterisk_installation.find_or_get(**machine[0]) == AsteriskInstallation(
        [str(installed)], tmp_path / "lib/asterisk/modules", tmp_path / "share/asterisk", "20.1.0", str(installed)
    )
    assert not debian.asked


@pytest.mark.parametrize(("version", "found"), [("18.9.0", "18.9.0"), ("certified/18.9-cert5", "18.9")])
def test_an_installed_asterisk_that_is_too_old_is_skipped(machine, tmp_path, version, found):
    here, said = machine
    asterisk(tmp_path / "bin/asterisk", version)
    assert asterisk_installation.find_or_get(**here).version == "22.10.1"
    assert f"is Asterisk {found}" in said[0]


@pytest.mark.parametrize("version", [None, "18.9.0"])
def test_a_named_asterisk_that_cannot_be_used_is_an_error(machine, debian, tmp_path, version):
    here, _ = machine
    here["environment"][OVERRIDE] = f"{tmp_path}/own/asterisk"
    if version:
        asterisk(tmp_path / "own/asterisk", version)
    with pytest.raises(AsteriskMissing, match=OVERRIDE):
        asterisk_installation.find_or_get(**here)
    assert not debian.asked


def test_the_folders_that_a_configuration_names_are_read(tmp_path):
    path = tmp_path / "asterisk.conf"
    path.write_text("; sample\n[directories](!)\nastmoddir => /m ; here\nastdatadir = /d\n[options]\n;verbose = 3\n")
    assert asterisk_installation._configured_directories(path) == {"astmoddir": Path("/m"), "astdatadir": Path("/d")}
    assert asterisk_installation._configured_directories(tmp_path / "none") == {}


# -- ffmpeg, libraries, PostgreSQL ------------------------------------------------------------------------------------


def test_an_installed_ffmpeg_is_taken(machine, debian, tmp_path):
    ffmpeg(tmp_path / "bin/ffmpeg")
    assert packages.find_or_get_ffmpeg(**machine[0]) == tmp_path / "bin"
    assert not debian.asked


def test_a_fetched_ffmpeg_is_in_a_folder_for_path(machine, debian, tmp_path):
    here, said = machine
    ffmpeg(tmp_path / "bin/ffmpeg", FFMPEG_ENCODERS - {"libspeex"})
    folder = packages.find_or_get_ffmpeg(**here)
    assert "cannot write libspeex" in said[0]
    assert packages.find_or_get_ffmpeg(**here) == folder != tmp_path / "bin"
    listed = subprocess.check_output(["ffmpeg"], text=True, env={"PATH": f"{folder}:{os.environ['PATH']}"})
    assert "libspeex" in listed
    assert debian.asked == [("ffmpeg",)]


def test_a_fetched_ffmpeg_that_cannot_do_its_work_is_an_error(machine, debian):
    debian.encoders = frozenset({"aac"})
    with pytest.raises(PackagesUnavailable, match=r"cannot write g722.*Install ffmpeg"):
        packages.find_or_get_ffmpeg(**machine[0])


def test_an_installed_chromium_is_taken(machine, debian, tmp_path):
    installed = [script(tmp_path / "bin" / name, "true") for name in ("chromium", "chromedriver")]
    found = chromium.find_or_get_chromium(tmp_path / "own", **machine[0])
    assert [found.program, found.driver] == installed
    assert "LD_LIBRARY_PATH" not in found.environment
    assert not debian.asked


def test_a_chromium_without_its_driver_is_fetched_and_has_to_start(machine, debian, tmp_path):
    script(tmp_path / "bin/chromium", "true")
    with pytest.raises(PackagesUnavailable, match=r"chromium does not start: .*Install chromium and chromium-driver"):
        chromium.find_or_get_chromium(tmp_path / "own", **machine[0])
    assert debian.asked == [("chromium", "chromium-driver")]


def test_a_missing_library_is_an_error(machine, monkeypatch):
    for name, value in machine[0]["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(PackagesUnavailable, match=r"libnone.so.1 of none cannot be loaded"):
        packages.library("none", "libnone.so.1")


def test_an_old_postgresql_is_skipped_and_a_failed_download_is_reported(tmp_path, monkeypatch):
    (tmp_path / "9.6/bin").mkdir(parents=True)
    (tmp_path / "9.6/bin/postgres").touch()

    def none(*_: str, **__: object) -> Path:
        raise PackagesUnavailable("no mirror")

    monkeypatch.setattr(postgresql, "unpacked_tree", none)
    with (
        pytest.raises(PostgreSQLMissing, match="no mirror\nInstall the package postgresql"),
        postgresql.postgresql_programs(tmp_path),
    ):
        pass

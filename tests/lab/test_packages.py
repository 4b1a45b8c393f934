"""Fetching, keeping and starting Debian's packages; small shell scripts replace the download."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import packages
from tests.lab.debian import PackagesUnavailable
from tests.lab.packages import FFMPEG_ENCODERS, find_or_get_ffmpeg, library, tree


def program(path: Path, encoders: frozenset[str] = FFMPEG_ENCODERS) -> Path:
    """A program that lists encoders like ffmpeg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(f"echo ' A....D {name} a coder'" for name in sorted(encoders))
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


class Debian:
    """Replaces `debian.fetch`, and records its arguments."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.failure: str | None = None
        self.encoders = FFMPEG_ENCODERS

    def fetch(self, names: tuple[str, ...], into: Path, suites: tuple[str, ...], without: tuple[str, ...]) -> str:
        self.asked.append(names)
        if self.failure:
            (into / "usr").mkdir(parents=True)
            raise PackagesUnavailable(self.failure)
        program(into / "usr/bin/ffmpeg", self.encoders)
        return suites[0]


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> Debian:
    archive = Debian()
    monkeypatch.setattr(packages.debian, "fetch", archive.fetch)
    return archive


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine without ffmpeg."""
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


@pytest.fixture
def said() -> list[str]:
    return []


def test_fetched_packages_are_kept(debian, environment, said):
    first = tree("one", "two", progress=said.append, environment=environment)
    assert tree("one", "two", progress=said.append, environment=environment) == first
    assert tree("one", progress=said.append, environment=environment) != first
    assert debian.asked == [("one", "two"), ("one",)]


def test_two_runs_side_by_side_fetch_once(debian, environment, said):
    with ThreadPoolExecutor(4) as runs:
        found = list(runs.map(lambda _: tree("one", progress=said.append, environment=environment), range(4)))
    assert len(set(found)) == len(debian.asked) == 1


def test_a_damaged_tree_is_fetched_again(debian, environment, said):
    first = tree("one", progress=said.append, environment=environment)
    (first / "usr/bin/ffmpeg").unlink()
    assert tree("one", progress=said.append, environment=environment) == first
    assert (first / "usr/bin/ffmpeg").exists()
    assert any("damaged" in line for line in said)


def test_a_failed_download_leaves_nothing(debian, environment, said, tmp_path):
    debian.failure = "trixie: no such release"
    with pytest.raises(PackagesUnavailable, match="no such release"):
        tree("one", progress=said.append, environment=environment)
    assert [path.name for path in (tmp_path / "home/.cache/idtone").iterdir()] == ["packages.lock"]


def test_an_installed_ffmpeg_is_taken(debian, environment, said, tmp_path):
    program(tmp_path / "bin/ffmpeg")
    assert find_or_get_ffmpeg(said.append, environment) == tmp_path / "bin"
    assert not debian.asked


def test_an_installed_ffmpeg_without_the_encoders_is_skipped(debian, environment, said, tmp_path):
    program(tmp_path / "bin/ffmpeg", FFMPEG_ENCODERS - {"libspeex"})
    folder = find_or_get_ffmpeg(said.append, environment)
    assert folder != tmp_path / "bin"
    assert "cannot write libspeex" in said[0]


def test_a_fetched_ffmpeg_is_in_a_folder_for_path(debian, environment, said):
    folder = find_or_get_ffmpeg(said.append, environment)
    assert find_or_get_ffmpeg(said.append, environment) == folder
    listed = subprocess.check_output(
        ["ffmpeg"], text=True, env={**environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    )
    assert "libspeex" in listed
    assert debian.asked == [("ffmpeg",)]


def test_a_fetched_ffmpeg_that_cannot_do_its_work_is_an_error(debian, environment, said):
    debian.encoders = frozenset({"aac"})
    with pytest.raises(PackagesUnavailable, match=r"cannot write g722.*Install ffmpeg"):
        find_or_get_ffmpeg(said.append, environment)


def test_a_missing_library_is_an_error(debian, environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(PackagesUnavailable, match=r"libnone.so.1 of none cannot be loaded"):
        library("none", "libnone.so.1")


def test_the_real_one_writes_every_format_that_the_lab_needs(ffmpeg):
    assert packages._encoders(["ffmpeg"]) >= FFMPEG_ENCODERS
    assert packages._encoders([str(ffmpeg)]) >= FFMPEG_ENCODERS

"""The use of the machine's apt, and the messages of failures."""

from pathlib import Path

import pytest

from lab import debian_archive
from lab.debian_archive import PackagesUnavailable


def test_mirrors_come_from_the_machines_sources_likeliest_first(monkeypatch):
    listing = """\
http://tools.example/apt anything main
http://mirror.example/debian trixie main
http://mirror.example/debian trixie-updates main
http://mirror.example/debian-security trixie-security main
http://mirror.example/debian trixie contrib
file:/media/disc trixie main
file:/media/flat ./ $(COMPONENT)
http://second.example/debian trixie main
"""
    monkeypatch.setattr(debian_archive, "_run", lambda command: listing)
    monkeypatch.setattr(debian_archive, "_codename", lambda: "trixie")
    assert debian_archive.mirrors() == [
        "http://mirror.example/debian",
        "http://second.example/debian",
        "http://tools.example/apt",
    ]


def test_a_machine_without_apt_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackagesUnavailable, match="no apt-get on this machine"):
        debian_archive.fetch(["asterisk"], tmp_path / "into", ("forky",))


def test_a_failure_has_apts_message_and_leaves_nothing(tmp_path, monkeypatch):
    empty = tmp_path / "archive"
    empty.mkdir()
    monkeypatch.setattr(debian_archive, "mirrors", lambda: [f"file:{empty}"])
    with pytest.raises(PackagesUnavailable, match=r"(?s)^forky: apt-get update: E: .*\nsid: apt-get update: E: "):
        debian_archive.fetch(["asterisk"], tmp_path / "into", ("forky", "sid"))
    assert list(tmp_path.iterdir()) == [empty]


def test_packages_that_are_not_wanted_are_not_downloaded(tmp_path, monkeypatch):
    asked: list[list[str]] = []

    def run(command, cwd=None):
        asked.append(command)
        return "Inst ffmpeg (7.1)\nInst libllvm19 (19.1)\nInst libavcodec61 (7.1)\nConf ffmpeg (7.1)\n"

    monkeypatch.setattr(debian_archive, "_run", run)
    monkeypatch.setattr(debian_archive, "mirrors", lambda: ["http://mirror.example/debian"])
    assert debian_archive.fetch(["ffmpeg"], tmp_path / "into", ("trixie",), ("libllvm*",)) == "trixie"
    assert asked[-1][-3:] == ["download", "ffmpeg", "libavcodec61"]


def test_every_private_path_of_apt_is_in_its_scratch_folder(tmp_path):
    command = debian_archive._private_apt(tmp_path, "deb x y z\n")
    written = [Path(option.partition("=")[2].partition("=")[2]) for option in command if "=Dir::" in option]
    assert len(written) == 7
    assert all(path == Path("/dev/null") or path.is_relative_to(tmp_path) for path in written)

"""The content of the file that Asterisk has played, derived from the file's state before and after the playback."""

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.call_control import sound_files as module
from idtone.call_control.sound_files import PlayedFile, SoundFiles
from idtone.core.errors import ToneError
from idtone.tones.making.sound_files import Sound, ensure_sounds
from idtone.tones.profile_library import load_library
from lab.patch_library import patch_library
from lab.tones.error_text import error_text

LATER = datetime.now(UTC) + timedelta(hours=1)
EARLIER = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def sounds(tmp_path: Path) -> dict[str, Sound]:
    return ensure_sounds(tmp_path / "sounds", load_library().for_calls())


@pytest.fixture
def sample(sounds: dict[str, Sound]) -> Sound:
    return sounds["sample"]


@pytest.fixture
def files(sounds: dict[str, Sound]) -> SoundFiles:
    newest_ns = max(file.path.stat().st_ctime_ns for sound in sounds.values() for file in sound.files)
    while time.time_ns() < newest_ns + module.SETTLED_NS:  # a later change has another date
        time.sleep(0.01)
    return SoundFiles(sounds.values())


def of(sound: Sound, name: str) -> Path:
    return next(file.path for file in sound.files if file.sound_format.name == name)


def damage(path: Path) -> None:
    """Damage the file in place, with the same length and times."""
    was = path.stat()
    with path.open("r+b") as file:
        file.write(b"\0\0\0\0")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def exchange(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


def exchange_and_return(path: Path) -> None:
    kept = path.with_name("kept")
    os.link(path, kept)
    exchange(path)
    kept.replace(path)


def link(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.unlink()
    path.symlink_to("copy")


def in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


WRONG: dict[str, Callable[[Path], object]] = {
    "damaged": damage,
    "another file": exchange,
    "missing": Path.unlink,
    "shorter": lambda path: os.truncate(path, 100),
    "a link": link,
    "a folder": in_its_place,
}
PREFERRED = {
    "another ending": lambda path: path.with_suffix(".au").write_bytes(b""),
    "a language": lambda path: (
        path.with_name("ja").mkdir(),
        path.with_name("ja").joinpath(path.name).write_bytes(b""),
    ),
}


@pytest.mark.parametrize("what", WRONG | PREFERRED)
def test_a_sound_is_played_only_while_its_files_are_as_they_were_made(files, sample, sounds, what):
    assert files.as_made(sample)
    before = files.states(sample)
    (WRONG | PREFERRED)[what](of(sample, "ulaw"))
    assert [bool(files.as_made(each)) for each in (sample, sounds["notice"])] == [False, True]
    assert files.played(sample, "ulaw", LATER, before) is None
    other = files.played(sample, "alaw", LATER, before)
    assert other == (None if what in PREFERRED else PlayedFile(sample.files[3].sha256, "alaw"))
    assert files.played(sample, "speex", LATER, before) is None, "any of them may have been opened"
    assert files.changes == (what in WRONG)
    assert str(sample.stem.parent) in error_text(ToneError, files.look)
    assert files.damaged == 1


def test_what_was_there_at_the_start_is_no_change_but_no_file_is_named(sounds, sample):
    of(sample, "ulaw").with_suffix(".au").write_bytes(b"x")
    of(sample, "ulaw").with_suffix(".yaml").write_bytes(b"x")
    files = SoundFiles(sounds.values())
    files.look()
    assert files.as_made(sample)
    assert files.played(sample, "ulaw", LATER, None) == PlayedFile(None)
    of(sample, "ulaw").with_suffix(".au").write_bytes(b"xy")
    error_text(ToneError, files.look)
    assert not files.as_made(sample)


@pytest.mark.parametrize(("codec", "name"), [*module.OPENED.items(), ("speex", None), ("", None)])
def test_the_file_is_named_by_the_codec_and_otherwise_all_files(files, sample, codec, name):
    expected = [PlayedFile(file.sha256, name) for file in sample.files if file.sound_format.name == name]
    assert [files.played(sample, codec, LATER, None)] == (expected or [PlayedFile(sample.sha256)])


@pytest.mark.parametrize("change", [exchange_and_return, lambda path: path.chmod(0o600), os.utime])
def test_a_file_that_was_touched_in_between_is_not_known(files, sample, change):
    before = files.states(sample)
    assert files.played(sample, "ulaw", EARLIER, before)
    change(of(sample, "ulaw"))
    assert files.as_made(sample), "it is right again"
    assert files.played(sample, "ulaw", EARLIER, before) is None
    assert files.played(sample, "ulaw", EARLIER, files.states(sample))


def test_without_a_verdict_the_last_change_must_be_before_the_sound(files, sample):
    changed = datetime.fromtimestamp(of(sample, "ulaw").stat().st_ctime, UTC)
    moments = [changed + timedelta(milliseconds=ms) for ms in (-1000, 10, 1000)]
    assert [files.played(sample, "ulaw", at, None) is not None for at in moments] == [False, False, True]


@pytest.mark.parametrize(("age_ns", "read_again"), [(0, True), (10**12, False)])
def test_a_file_that_has_just_been_changed_is_read_again(sounds, sample, monkeypatch, age_ns, read_again):
    """A second change within a tick of the kernel's clock has the same date."""
    path = of(sample, "ulaw")
    stamp = (1, 1, path.stat().st_size, 1, time.time_ns() - age_ns)
    for name in ("_stamp", "_stamp_of"):
        monkeypatch.setattr(module, name, lambda _: stamp)
    monkeypatch.setattr(module, "SETTLED_NS", 600 * 10**9)
    files = SoundFiles(sounds.values())
    before = files.states(sample)[path]
    damage(path)
    assert (files.states(sample)[path] != before) == read_again


def test_a_damaged_file_is_made_again_after_a_minute(sounds, sample, monkeypatch):
    restored = []

    def restore() -> None:
        restored.append(time.monotonic())
        ensure_sounds(sample.stem.parent, load_library().for_calls())

    files = SoundFiles(sounds.values(), restore)
    files.look()
    damage(of(sample, "ulaw"))
    for _ in range(3):
        assert "sample.ulaw: not as the service made it" in error_text(ToneError, files.look)
    assert not restored
    now_s = time.monotonic() + module.RESTORE_AFTER_S
    patch_library(monkeypatch, module, "time", monotonic=lambda: now_s)
    files.look()
    assert len(restored) == 1
    assert files.as_made(sample)
    assert (files.damaged, files.changes) == (0, 1)


def test_a_file_that_cannot_be_made_again_is_named_with_the_reason_and_the_others_are_not(sounds, sample, monkeypatch):
    def restore() -> None:
        ensure_sounds(sample.stem.parent, [load_library()["notice"]])
        raise ToneError("cannot be written")

    files = SoundFiles(sounds.values(), restore)
    damage(of(sample, "gsm"))
    damage(of(sounds["notice"], "gsm"))
    error_text(ToneError, files.look)
    assert files.damaged == 2
    monkeypatch.setattr(module, "RESTORE_AFTER_S", 0.0)
    assert "cannot be written" in error_text(ToneError, files.look)
    assert files.damaged == 1
    assert files.as_made(sounds["notice"])

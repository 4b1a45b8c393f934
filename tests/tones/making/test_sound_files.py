import hashlib
import os

import pytest

from idtone.core.errors import ToneError, UsageError
from idtone.tones.making.encoders import encode
from idtone.tones.making.formats import FORMATS
from idtone.tones.making.sound_files import PBX_FORMATS, ensure_sounds
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone

A = make_profile(tone(600, on_ms=100, off_ms=11), id="a")
B = make_profile(tone(700, on_ms=100), id="b")
LONG = make_profile(tone(600.5, on_ms=20_000, off_ms=11), id="long")


def check_files(profile, files):
    for file in files:
        content = file.path.read_bytes()
        assert content == encode(profile, file.sound_format)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.path.stat().st_mode & 0o777 == 0o644


def test_every_profile_in_every_format(tmp_path):
    directory = tmp_path / "sounds" / "idtone"
    sounds = ensure_sounds(directory, [A, B])
    assert list(sounds) == ["a", "b"]
    assert (sounds["a"].stem, sounds["a"].duration_ms) == (directory / "a", 111)
    assert {path.name for path in directory.iterdir()} == {f"{id_}.{name}" for id_ in "ab" for name in PBX_FORMATS}
    assert all(file.written for file in sounds["a"].files)
    check_files(A, sounds["a"].files)


def test_a_long_sound_is_written_once_with_the_same_content(tmp_path):
    for expected in (True, False):
        files = ensure_sounds(tmp_path, [LONG], ["sln", "ulaw", "ogg"])["long"].files
        assert [file.written for file in files] == [expected] * 3
        check_files(LONG, files)
    assert len(list(tmp_path.iterdir())) == 3, "no temporary file is left"


def test_existing_files_with_the_same_content_are_not_touched(tmp_path):
    ensure_sounds(tmp_path, [A], ["sln", "ulaw", "alaw"])
    os.utime(tmp_path / "a.sln", (1, 1))
    (tmp_path / "a.ulaw").unlink()
    (tmp_path / "a.alaw").write_bytes(bytes((tmp_path / "a.alaw").stat().st_size))
    foreign = [tmp_path / "foreign.sln", tmp_path / "a.g722"]
    for path in foreign:
        path.write_bytes(b"mine")
    files = ensure_sounds(tmp_path, [A], ["sln", "ulaw", "alaw"])["a"].files
    assert [file.written for file in files] == [False, True, True]
    assert (tmp_path / "a.sln").stat().st_mtime == 1
    assert (tmp_path / "a.alaw").read_bytes() == encode(A, FORMATS["alaw"])
    assert [path.read_bytes() for path in foreign] == [b"mine"] * 2
    assert len(list(tmp_path.iterdir())) == 5, "no temporary file is left"


def test_links_and_pipes_are_replaced_and_readers_keep_the_old_file(tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "a.sln").symlink_to(target)
    os.mkfifo(tmp_path / "a.ulaw")
    (tmp_path / "a.alaw").write_bytes(b"old")
    with (tmp_path / "a.alaw").open("rb") as reader:
        files = ensure_sounds(tmp_path, [A], ["sln", "ulaw", "alaw"])["a"].files
        assert reader.read() == b"old"
    assert target.read_bytes() == b"precious"
    os.mkfifo(tmp_path / "long.sln")
    files += ensure_sounds(tmp_path, [LONG], ["sln"])["long"].files
    assert all(file.written and file.path.is_file() and not file.path.is_symlink() for file in files)
    (tmp_path / "long.ulaw").mkdir()
    said = error_text(ToneError, ensure_sounds, tmp_path, [LONG], ["ulaw"])
    assert "/long.ulaw: cannot be written: Is a directory" in said


@pytest.mark.parametrize(
    ("in_the_way", "folder", "formats", "error", "says"),
    [
        ("a.sln/", "", ["sln"], ToneError, "/a.sln: cannot be written: Is a directory. Let the user that runs idtone"),
        ("sounds", "sounds", PBX_FORMATS, ToneError, "sounds: cannot be written: File exists"),
        # Permissions cannot test this: tests may run as root.
        ("", "/proc/idtone", PBX_FORMATS, ToneError, "/proc/idtone: cannot be written: "),
        ("", "new", ["sln", "flac"], UsageError, "unknown format 'flac'; the formats are wav, wav16"),
        ("", "new", ["sln44"], UsageError, "because Asterisk plays it 6 dB too low; use sln48"),
        ("", "new", ["sln", "g722"], ToneError, "writing .g722 needs the program ffmpeg"),
    ],
)
def test_what_cannot_be_written_is_a_clear_error_and_leaves_nothing(
    tmp_path, monkeypatch, in_the_way, folder, formats, error, says
):
    monkeypatch.setenv("PATH", str(tmp_path))
    if in_the_way.endswith("/"):
        (tmp_path / in_the_way).mkdir()
    elif in_the_way:
        (tmp_path / in_the_way).touch()
    assert says in error_text(error, ensure_sounds, tmp_path / folder, [A], formats)
    assert [path.name for path in tmp_path.iterdir()] == [in_the_way.strip("/")] * bool(in_the_way)


def test_the_pbx_needs_no_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(ensure_sounds(tmp_path / "new", [A])["a"].files) == len(PBX_FORMATS)


def test_an_interrupted_sound_leaves_the_old_file_alone(tmp_path):
    (tmp_path / "long.sln").write_bytes(b"old")

    def give_up(samples):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_sounds(tmp_path, [LONG], ["sln"], give_up)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("long.sln", b"old")]

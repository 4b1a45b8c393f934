import hashlib
import json
import math
import os
import subprocess
import tempfile
from dataclasses import replace

import numpy as np
import pytest

from idtone.core.errors import DocumentError, IdtoneError, RecordingError, ToneError, UsageError
from idtone.tones import master_import
from idtone.tones.making.amplitude import amplitude
from idtone.tones.making.waveform import waveform
from idtone.tones.master_import import ImportRequest, import_master, import_report
from idtone.tones.profile import Law, load_profile
from idtone.tones.profile_library import load_library
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone
from lab.tones.synthetic_recordings import LEAD_MS, PU_PU, with_silence, write

REQUEST = ImportRequest("pu-pu", "Pu pu", -16)
FORMATS = ("sln", "sln16", "ulaw")


@pytest.fixture
def master(tmp_path):
    return write(tmp_path / "from the association.WAV", 0.5 * with_silence(), subtype="PCM_24")


@pytest.fixture
def other(tmp_path):
    return write(tmp_path / "other.flac", with_silence(make_profile(tone(800, on_ms=300))), subtype="PCM_16")


@pytest.fixture
def do(tmp_path):
    def imported(master, request=REQUEST, formats=FORMATS):
        return import_master(master, request, tmp_path / "profiles", tmp_path / "sounds", formats)

    return imported


@pytest.fixture
def made_files(tmp_path):
    """A function that returns the files that the imports made: path → content."""

    def found():
        paths = [path for name in ("profiles", "sounds") for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {path: path.read_bytes() for path in paths}

    return found


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pcm(path):
    return np.frombuffer(path.read_bytes(), "<i2") / 32768


def level_db(plateau, level_dbm0=-16, law=Law.A):
    return 20 * math.log10(np.std(plateau) * math.sqrt(2) / amplitude(level_dbm0, law))


def check_sound(imported, tolerance_db=0.05, duration_ms=3, onset_ms=1.5):
    """Check that the sln file begins with the two bursts, and that their lengths and their level are right."""
    samples = pcm(imported.sound.files[0].path)
    loud = np.flatnonzero(np.abs(samples) > 0.3 * np.max(np.abs(samples)))
    assert loud[0] / 8 == pytest.approx(2, abs=onset_ms + 1)
    assert (loud[-1] - loud[0]) / 8 == pytest.approx(276, abs=duration_ms)
    for first_ms in (20, 200):
        assert level_db(samples[8 * first_ms : 8 * (first_ms + 60)]) == pytest.approx(0, abs=tolerance_db)
    assert imported.profile.duration_ms == pytest.approx(280, abs=duration_ms)


def test_a_master_becomes_a_profile_and_its_sounds(master, do, made_files, tmp_path):
    request = replace(REQUEST, registered={"pu-pu": sha256(master)})
    made = do(master, request)
    kept = tmp_path / "profiles" / f"pu-pu.master-{sha256(master)[:8]}.wav"
    profile_file, *sounds = tmp_path / "profiles" / "pu-pu.yaml", *(tmp_path / "sounds" / f"pu-pu.{n}" for n in FORMATS)
    assert set(made_files()) == {kept, profile_file, profile_file.with_suffix(".sha256"), *sounds}
    assert {oct(path.stat().st_mode & 0o777) for path in made_files()} == {"0o644"}
    assert kept.read_bytes() == master.read_bytes()
    assert (made.profile_file, made.profile.recording) == (profile_file, kept)
    assert load_profile(profile_file) == made.profile
    assert made.sound.stem == tmp_path / "sounds" / "pu-pu"
    assert [sha256(file.path) for file in made.sound.files] == [file.sha256 for file in made.sound.files]
    check_sound(made)
    assert waveform(made.profile, 8000)[:2000] == pytest.approx(pcm(sounds[0])[:2000], abs=2**-15)
    for part in (
        "協会標準識別音とは指定されていません",
        "Not marked as the association's",
        '"from the association.WAV"',
        f"{-16 + 20 * math.log10(0.5):.1f}",
        "48000 Hz",
        "原盤の測定値",
        "relative to the sound",
    ):
        assert part in profile_file.read_text("utf-8")
    told = json.loads(json.dumps(import_report(made, request), default=str, allow_nan=False))
    assert told["registry"] == "names this master"
    assert told["from_ms"] == pytest.approx(LEAD_MS, abs=1.5)
    assert told["duration_ms"] == pytest.approx(PU_PU.duration_ms, abs=2)
    assert told["recorded_dbm0"] == pytest.approx(-22.02, abs=0.05)
    assert [entry["format"] for entry in told["sounds"]] == list(FORMATS)


@pytest.mark.parametrize(
    ("name", "sample_rate_hz", "subtype", "channels", "tolerance"),
    [
        ("m.wav", 44_100, "PCM_16", 2, ()),
        ("m.wav", 96_000, "FLOAT", 1, ()),
        # Lossy codecs spread a little of the sound before and after it.
        ("m.wav", 8000, "ULAW", 1, (0.5, 40, 20)),
        ("m.aiff", 22_050, "PCM_16", 3, ()),
        ("m.mp3", 44_100, "MPEG_LAYER_III", 2, (0.5, 40, 20)),
    ],
)
def test_masters_that_libsndfile_reads(tmp_path, do, name, sample_rate_hz, subtype, channels, tolerance):
    wave = with_silence(sample_rate_hz=sample_rate_hz)
    check_sound(do(write(tmp_path / name, wave, sample_rate_hz, subtype, channels)), *tolerance)


def test_masters_that_ffmpeg_reads(tmp_path, do, ffmpeg):
    source = write(tmp_path / "m.wav", with_silence(), subtype="PCM_16", channels=2)
    command = [ffmpeg, "-v", "error", "-i", source, "-c:a", "aac", "-b:a", "160k", tmp_path / "m.m4a"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    made = do(tmp_path / "m.m4a")
    assert made.profile.recording.suffix == ".m4a"
    check_sound(made, 0.3, 40, 20)


@pytest.mark.parametrize(("level_dbm0", "law"), [(-10, Law.MU), (-25.25, Law.A)])
def test_the_requested_level(master, do, level_dbm0, law):
    made = do(master, replace(REQUEST, level_dbm0=level_dbm0, law=law))
    assert (made.profile.level_dbm0, made.profile.law) == (level_dbm0, law)
    assert level_db(pcm(made.sound.files[0].path)[160:640], level_dbm0, law) == pytest.approx(0, abs=0.05)


def test_a_master_that_was_changed_is_refused(master, do, tmp_path):
    kept = do(master).profile.recording
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert "has another SHA-256" in error_text(DocumentError, load_library, tmp_path / "profiles")


def test_what_proves_a_master(master, do):
    made = do(master, replace(REQUEST, standard=True, registered={"pu-pu": sha256(master)}))
    assert load_profile(made.profile_file).standard
    assert "協会標準識別音です" in made.profile_file.read_text("utf-8")
    request = replace(
        REQUEST, replaces=True, registered={"pu-pu": None}, expected_sha256=f" {sha256(master).upper()}\n"
    )
    assert import_report(do(master, request), REQUEST)["registry"] == "not asked"


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"expected_sha256": "0" * 64}, ToneError, f"but {'0' * 64} is expected"),
        ({"registered": {"pu-pu": "0" * 64}}, ToneError, "names another master"),
        ({"standard": True}, ToneError, "there is no registry to check"),
        ({"standard": True, "registered": {}}, ToneError, "is marked as the standard sound"),
        ({"standard": True, "registered": {"pu-pu": None}}, ToneError, "is marked as the standard"),
        ({"profile_id": "../up"}, DocumentError, "cannot name a sound file"),
        ({"title": "two\nlines"}, DocumentError, "is not one line"),
        ({"level_dbm0": math.nan}, DocumentError, "level_dbm0"),
        ({"profile_id": "sample"}, UsageError, "is the id of another profile, shipped with idtone"),
    ],
)
def test_an_unproven_master_and_wrong_use_are_refused(master, do, tmp_path, changed, error, says):
    assert says in error_text(error, do, master, replace(REQUEST, **changed))
    assert [*tmp_path.rglob("*.*")] == [master]


# Each reason to refuse a sound is in test_master_measurement.py.
UNUSABLE = {
    "clipped": (np.clip(with_silence() * 12, -1, 32767 / 32768), 48_000, "is clipped: "),
    "longer than is read": (with_silence(make_profile(tone(620, on_ms=61_000)), 8000), 8000, "longer than"),
}


@pytest.mark.parametrize("content", [*UNUSABLE, b"", b"RIFF", b"\x00" * 5000, b"plain text\n" * 100, None])
def test_an_unusable_master_is_refused_by_its_own_name_and_leaves_nothing(tmp_path, do, content, ffmpeg):
    path, says = tmp_path / "m.wav", ""
    if content in UNUSABLE:
        wave, sample_rate_hz, says = UNUSABLE[content]
        write(path, wave, sample_rate_hz)
    elif content is not None:
        path.write_bytes(content)
    said = error_text((ToneError, RecordingError), do, path)
    assert said.startswith(f"{path}: ")
    assert says in said
    assert "idtone-import" not in said
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.wav"] * (content is not None)


def test_limits_and_obstacles(master, do, made_files, tmp_path, monkeypatch):
    assert "unknown format 'mp5'" in error_text(UsageError, do, tmp_path / "absent.wav", REQUEST, ("mp5",))
    with monkeypatch.context() as patched:
        patched.setattr(master_import, "MASTER_SIZE_LIMIT", 1000)
        assert "is larger than" in error_text(RecordingError, do, master)
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
        said = error_text(ToneError, do, master)
        assert f"{tmp_path}/absent" in said
        assert "cannot be written: No such file" in said
        assert "set TMPDIR to another folder" in said
    (tmp_path / "sounds" / "pu-pu.ulaw").mkdir(parents=True)
    assert "cannot be written: Is a directory" in error_text(ToneError, do, master)
    assert made_files() == {}


def test_an_id_that_another_file_of_the_folder_has(master, do, tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "a.yaml").write_text("no: [profile\n")
    (tmp_path / "profiles" / "b.yml").write_text("id: pu-pu\n")
    assert f"another profile, {tmp_path / 'profiles' / 'b.yml'}" in error_text(UsageError, do, master)


def test_an_earlier_import_is_replaced_only_when_asked(master, other, do, made_files, tmp_path):
    first, before = do(master), made_files()
    assert "pu-pu.yaml exists already; use --replace" in error_text(UsageError, do, other)
    assert made_files() == before
    second = do(other, replace(REQUEST, replaces=True))
    assert second.profile.duration_ms == pytest.approx(300, abs=2)
    assert not first.profile.recording.exists(), "the earlier master goes with its profile"
    assert len(made_files()) == 3 + len(FORMATS)
    again = do(other, replace(REQUEST, replaces=True))
    assert again == second, "nor does importing it again do harm"
    assert load_profile(again.profile_file) == again.profile


@pytest.mark.parametrize("turn", [0, 1, 2, 3, 4, "interrupted"])
def test_a_failed_import_changes_nothing(master, other, do, made_files, tmp_path, monkeypatch, turn):
    do(master)
    (tmp_path / "sounds" / "pu-pu.sln16").unlink()
    before = made_files()
    turns, really = iter(range(100)), os.replace

    def failing(source, target):
        # Only moves of new files fail: the restoring must work on the same disk.
        if source.parent.parent == tmp_path and next(turns) == turn:
            raise OSError(28, "No space left on device", str(source), None, str(target))
        really(source, target)
        if turn == "interrupted" and target == tmp_path / "sounds" / "pu-pu.ulaw":
            monkeypatch.setattr(os, "replace", really)
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(KeyboardInterrupt if turn == "interrupted" else IdtoneError) as caught:
        do(other, replace(REQUEST, replaces=True))
    assert turn == "interrupted" or "cannot be written: No space left on device" in str(caught.value)
    assert made_files() == before


@pytest.mark.parametrize("name", ["line\u2028break\x85: [.wav", "x.yaml", 'q"uo\\te.wav', "no-suffix", "a.w%v"])
def test_names_of_masters_that_could_harm_the_profile(tmp_path, do, master, name):
    made = do(master.rename(tmp_path / name))
    ending = ".wav" if name.endswith(".wav") else ""
    assert made.profile.recording.name == f"pu-pu.master-{sha256(tmp_path / name)[:8]}{ending}"
    assert load_library(tmp_path / "profiles")["pu-pu"] == made.profile

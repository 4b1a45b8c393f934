from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from idtone.errors import DocumentError, RecordingError, ToneError, UsageError
from idtone.tones import importing
from idtone.tones.importing import Imported, ImportRequest, import_master, report
from idtone.tones.making.scale import amplitude
from idtone.tones.making.waveform import waveform
from idtone.tones.profile import Law, load_profile
from idtone.tones.profile_library import load_library

from .profiles import make, tone
from .recorded import LEAD_MS, PU_PU, noise, recorded, write

REQUEST = ImportRequest("pu-pu", "Pu pu", -16)
FORMATS = ("sln", "sln16", "ulaw")


@pytest.fixture
def master(tmp_path: Path) -> Path:
    return write(tmp_path / "from the association.WAV", 0.5 * recorded(), subtype="PCM_24")


@pytest.fixture
def do(tmp_path: Path) -> Callable[..., Imported]:
    def imported(master: Path, request: ImportRequest = REQUEST, formats: tuple[str, ...] = FORMATS) -> Imported:
        return import_master(master, request, tmp_path / "profiles", tmp_path / "sounds", formats)

    return imported


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pcm(path: Path) -> NDArray[np.float64]:
    return np.frombuffer(path.read_bytes(), "<i2") / 32768


def tree(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}


def check_sound(imported: Imported, level_db: float = 0.05, duration_ms: float = 3, onset_ms: float = 1.5) -> None:
    """The sln file holds the two bursts from its start, with their lengths and their level."""
    file = next(file.path for file in imported.sound.files if file.sound_format.name == "sln")
    samples = pcm(file)
    loud = np.flatnonzero(np.abs(samples) > 0.3 * np.max(np.abs(samples)))
    assert loud[0] / 8 == pytest.approx(2, abs=onset_ms + 1)
    assert (loud[-1] - loud[0]) / 8 == pytest.approx(276, abs=duration_ms)
    for first_ms in (20, 200):
        plateau = samples[8 * first_ms : 8 * (first_ms + 60)]
        level = math.sqrt(2 * np.mean((plateau - plateau.mean()) ** 2))
        assert 20 * math.log10(level / amplitude(-16)) == pytest.approx(0, abs=level_db)
    assert imported.profile.duration_ms == pytest.approx(280, abs=duration_ms)


def test_a_master_becomes_a_profile_and_its_sounds(master: Path, do: Callable[..., Imported], tmp_path: Path) -> None:
    made = do(master)
    kept = tmp_path / "profiles" / f"pu-pu.master-{sha256(master)[:8]}.wav"
    assert {path.name for path in (tmp_path / "profiles").iterdir()} == {"pu-pu.yaml", kept.name}
    assert {path.name for path in (tmp_path / "sounds").iterdir()} == {f"pu-pu.{name}" for name in FORMATS}
    assert kept.read_bytes() == master.read_bytes()
    assert made.profile_file == tmp_path / "profiles" / "pu-pu.yaml"
    assert load_profile(made.profile_file) == made.profile
    assert made.profile.recording == kept
    assert made.sound.stem == tmp_path / "sounds" / "pu-pu"
    assert [sha256(file.path) for file in made.sound.files] == [file.sha256 for file in made.sound.files]
    assert {oct(path.stat().st_mode & 0o777) for path in tree(tmp_path / "profiles", tmp_path / "sounds")} == {"0o644"}
    check_sound(made)
    assert waveform(made.profile, 8000)[:2000] == pytest.approx(
        pcm(tmp_path / "sounds" / "pu-pu.sln")[:2000], abs=2**-15
    )


def test_the_profile_contains_the_measurements_in_two_languages(master: Path, do: Callable[..., Imported]) -> None:
    text = do(master).profile_file.read_text("utf-8")
    for part in (
        "協会標準識別音とは指定されていません", "Not marked as the association's", '"from the association.WAV"',
        f"{-16 + 20 * math.log10(0.5):.1f}", "48000 Hz", "原盤の測定値", "relative to the sound",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(
    ("name", "sample_rate_hz", "subtype", "channels"),
    [
        ("m.wav", 44_100, "PCM_16", 2),
        ("m.wav", 96_000, "FLOAT", 1),
        ("m.wav", 8000, "ULAW", 1),
        ("m.flac", 48_000, "PCM_24", 1),
        ("m.aiff", 22_050, "PCM_16", 3),
        ("m.ogg", 48_000, "VORBIS", 1),
        ("m.mp3", 44_100, "MPEG_LAYER_III", 2),
    ],
)
def test_masters_that_libsndfile_reads(
    tmp_path: Path, do: Callable[..., Imported], name: str, sample_rate_hz: int, subtype: str, channels: int
) -> None:
    wave = recorded(sample_rate_hz=sample_rate_hz)
    soundfile.write(tmp_path / name, np.column_stack([wave] * channels), sample_rate_hz, subtype=subtype)
    lossy = name.endswith(("mp3", "ogg")) or subtype == "ULAW"
    # Lossy codecs spread a little of the sound before and after it.
    check_sound(do(tmp_path / name), *((0.5, 40, 20) if lossy else ()))


def test_masters_that_ffmpeg_reads(tmp_path: Path, do: Callable[..., Imported], ffmpeg: Path) -> None:
    source = write(tmp_path / "m.wav", recorded(), subtype="PCM_16", channels=2)
    command = [ffmpeg, "-v", "error", "-i", source, "-c:a", "aac", "-b:a", "160k", tmp_path / "m.m4a"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    made = do(tmp_path / "m.m4a")
    assert made.profile.recording
    assert made.profile.recording.suffix == ".m4a"
    check_sound(made, 0.3, 40, 20)


@pytest.mark.parametrize(("level_dbm0", "law"), [(-10, Law.MU), (-25.25, Law.A)])
def test_the_requested_level(master: Path, do: Callable[..., Imported], level_dbm0: float, law: Law) -> None:
    made = do(master, replace(REQUEST, level_dbm0=level_dbm0, law=law))
    assert (made.profile.level_dbm0, made.profile.law) == (level_dbm0, law)
    plateau = pcm(made.sound.files[0].path)[160:640]
    level = math.sqrt(2 * np.mean(plateau**2))
    assert 20 * math.log10(level / amplitude(level_dbm0, law)) == pytest.approx(0, abs=0.05)


def test_a_master_that_was_changed_is_refused(master: Path, do: Callable[..., Imported], tmp_path: Path) -> None:
    kept = do(master).profile.recording
    assert kept
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    with pytest.raises(DocumentError, match="has another SHA-256"):
        load_library(tmp_path / "profiles")


def test_standard_only_where_the_registry_names_this_master(master: Path, do: Callable[..., Imported]) -> None:
    made = do(master, replace(REQUEST, standard=True, registered={"pu-pu": sha256(master)}))
    assert load_profile(made.profile_file).standard
    assert "協会標準識別音です" in made.profile_file.read_text("utf-8")


def test_a_registry_without_a_master_allows_any_master(master: Path, do: Callable[..., Imported]) -> None:
    assert report(do(master, replace(REQUEST, registered={"pu-pu": None})), REQUEST)["registry"] == "not asked"


REFUSED = {
    "another hash is expected": (replace(REQUEST, expected_sha256="0" * 64), "but 0{64} is expected"),
    "the registry names another": (replace(REQUEST, registered={"pu-pu": "0" * 64}), "names another master"),
    "standard, no registry": (replace(REQUEST, standard=True), "there is no registry to check"),
    "standard, no entry": (replace(REQUEST, standard=True, registered={}), "is marked as the standard sound"),
    "standard, no hash": (replace(REQUEST, standard=True, registered={"pu-pu": None}), "is marked as the standard"),
}


@pytest.mark.parametrize(("request_", "says"), REFUSED.values(), ids=REFUSED)
def test_an_unproven_master_is_refused(
    master: Path, do: Callable[..., Imported], tmp_path: Path, request_: ImportRequest, says: str
) -> None:
    with pytest.raises(ToneError, match=says):
        do(master, request_)
    assert tree(tmp_path) == {master: master.read_bytes()}


def test_the_expected_hash_in_capitals(master: Path, do: Callable[..., Imported]) -> None:
    assert do(master, replace(REQUEST, expected_sha256=f" {sha256(master).upper()}\n"))


BAD = {
    "clipped": (
        np.clip(recorded() * 12, -1, 32767 / 32768),
        "is clipped: samples at full scale: [0-9]+, in runs: [0-9]+",
    ),
    "silent": (recorded() * 0, "is silent"),
    "long": (recorded(make(tone(620, on_ms=10_500))), "is too long: 10.5"),
    "longer than is read": (recorded(make(tone(620, on_ms=61_000)), 8000), "longer than"),
    "short": (recorded(make(tone(620, on_ms=20))), "is too short: 19"),
    "noisy": (recorded() + noise(len(recorded()), 0.02), "is too noisy"),
}


@pytest.mark.parametrize(("wave", "says"), BAD.values(), ids=BAD)
def test_a_bad_master_is_refused_and_leaves_nothing(
    tmp_path: Path, do: Callable[..., Imported], wave: NDArray[np.float64], says: str
) -> None:
    path = write(tmp_path / "m.wav", wave, 8000 if len(wave) > 480_000 and "longer" in says else 48_000)
    with pytest.raises((ToneError, RecordingError), match=says):
        do(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.wav"]


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\x00" * 5000, b"plain text\n" * 100])
def test_a_file_that_is_not_a_sound_is_refused(
    tmp_path: Path, do: Callable[..., Imported], content: bytes, ffmpeg: Path
) -> None:
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(RecordingError):
        do(tmp_path / "m.bin")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.bin"]


def test_no_master_at_all(tmp_path: Path, do: Callable[..., Imported]) -> None:
    with pytest.raises(RecordingError, match=r"absent\.wav"):
        do(tmp_path / "absent.wav")


def test_a_master_larger_than_the_limit(
    master: Path, do: Callable[..., Imported], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MASTER_SIZE_LIMIT", 1000)
    with pytest.raises(RecordingError, match="is larger than"):
        do(master)


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        (replace(REQUEST, profile_id="../up"), DocumentError, "cannot name a sound file"),
        (replace(REQUEST, title="two\nlines"), DocumentError, "is not one line"),
        (replace(REQUEST, level_dbm0=3), DocumentError, "level_dbm0"),
        (replace(REQUEST, level_dbm0=math.nan), DocumentError, "level_dbm0"),
        (replace(REQUEST, profile_id="sample"), UsageError, "is the id of another profile, shipped with idtone"),
    ],
)
def test_wrong_use(
    master: Path, do: Callable[..., Imported], request_: ImportRequest, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        do(master, request_)


def test_an_id_that_another_file_of_the_folder_has(master: Path, do: Callable[..., Imported], tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "a.yaml").write_text("no: [profile\n")
    (tmp_path / "profiles" / "b.yml").write_text("id: pu-pu\n")
    with pytest.raises(UsageError, match=r"another profile, .*b\.yml"):
        do(master)


def test_an_earlier_import_is_replaced_only_when_asked(
    master: Path, do: Callable[..., Imported], tmp_path: Path
) -> None:
    first = do(master)
    before = tree(tmp_path / "profiles", tmp_path / "sounds")
    other = write(tmp_path / "other.flac", recorded(make(tone(800, on_ms=300))), subtype="PCM_16")
    with pytest.raises(UsageError, match=r"pu-pu\.yaml exists already; use --replace"):
        do(other)
    assert tree(tmp_path / "profiles", tmp_path / "sounds") == before
    second = do(other, replace(REQUEST, replaces=True))
    assert second.profile.duration_ms == pytest.approx(300, abs=2)
    assert first.profile.recording
    assert not first.profile.recording.exists(), "the earlier master goes with its profile"
    assert len(tree(tmp_path / "profiles")) == 2
    assert {path.name for path in tree(tmp_path / "sounds")} == {f"pu-pu.{name}" for name in FORMATS}
    again = do(other, replace(REQUEST, replaces=True))
    assert again == second, "nor does importing it again do harm"
    assert load_profile(again.profile_file) == again.profile


@pytest.mark.parametrize("turn", range(5))
def test_a_failed_import_changes_nothing(
    master: Path, do: Callable[..., Imported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    do(master)
    (tmp_path / "sounds" / "pu-pu.sln16").unlink()
    before = tree(tmp_path / "profiles", tmp_path / "sounds")
    other = write(tmp_path / "other.flac", recorded(make(tone(800, on_ms=300))), subtype="PCM_16")
    turns = iter(range(100))
    really = os.replace

    def failing(source: Path, target: Path) -> None:
        # Only moves of new files fail: the restoring must work on the same disk.
        if Path(source).parent.parent == tmp_path and next(turns) == turn:
            raise OSError(28, "No space left on device", str(source), None, str(target))
        really(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(ToneError, match="cannot be written: No space left on device"):
        do(other, replace(REQUEST, replaces=True))
    assert tree(tmp_path / "profiles", tmp_path / "sounds") == before


def test_an_interrupted_import_changes_nothing(
    master: Path, do: Callable[..., Imported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(master)
    before = tree(tmp_path / "profiles", tmp_path / "sounds")
    other = write(tmp_path / "other.flac", recorded(make(tone(800, on_ms=300))), subtype="PCM_16")
    really = os.replace

    def interrupted(source: Path, target: Path) -> None:
        really(source, target)
        if target == tmp_path / "sounds" / "pu-pu.ulaw":
            monkeypatch.setattr(os, "replace", really)
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        do(other, replace(REQUEST, replaces=True))
    assert tree(tmp_path / "profiles", tmp_path / "sounds") == before


def test_a_full_disk_for_temporary_files(
    master: Path, do: Callable[..., Imported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(ToneError, match=r"absent.*: cannot be written: No such file .*set TMPDIR to another folder"):
        do(master)


def test_a_folder_in_the_way_of_a_sound(master: Path, do: Callable[..., Imported], tmp_path: Path) -> None:
    (tmp_path / "sounds" / "pu-pu.ulaw").mkdir(parents=True)
    with pytest.raises(ToneError, match=r"cannot be written: Is a directory"):
        do(master)
    assert tree(tmp_path / "profiles", tmp_path / "sounds") == {}


def test_an_unknown_format_before_anything_else(tmp_path: Path, do: Callable[..., Imported]) -> None:
    with pytest.raises(UsageError, match="unknown format 'mp5'"):
        do(tmp_path / "absent.wav", formats=("mp5",))


@pytest.mark.parametrize("name", ["line\u2028break\x85: [.wav", "x.yaml", 'q"uo\\te.wav', "no-suffix", "a.w%v"])
def test_names_of_masters_that_could_harm_the_profile(
    tmp_path: Path, do: Callable[..., Imported], master: Path, name: str
) -> None:
    made = do(master.rename(tmp_path / name))
    assert made.profile.recording
    ending = ".wav" if name.endswith(".wav") else ""
    assert made.profile.recording.name == f"pu-pu.master-{sha256(tmp_path / name)[:8]}{ending}"
    assert load_library(tmp_path / "profiles")["pu-pu"] == made.profile


def test_the_report_is_json(master: Path, do: Callable[..., Imported]) -> None:
    request = replace(REQUEST, registered={"pu-pu": sha256(master)})
    told = json.loads(json.dumps(report(do(master, request), request), default=str, allow_nan=False))
    assert told["registry"] == "names this master"
    assert told["from_ms"] == pytest.approx(LEAD_MS, abs=1.5)
    assert told["duration_ms"] == pytest.approx(PU_PU.duration_ms, abs=2)
    assert told["recorded_dbm0"] == pytest.approx(-22.02, abs=0.05)
    assert [entry["format"] for entry in told["sounds"]] == list(FORMATS)


@pytest.mark.parametrize("content", [b"no sound at all" * 99, b"RIFF"])
def test_errors_name_the_master_not_the_copy(content: bytes, tmp_path: Path, do: Callable[..., Imported]) -> None:
    (tmp_path / "given.wav").write_bytes(content)
    with pytest.raises(RecordingError) as told:
        do(tmp_path / "given.wav")
    assert str(told.value).startswith(f"{tmp_path / 'given.wav'}: ")
    assert "idtone-import" not in str(told.value)

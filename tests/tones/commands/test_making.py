from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.errors import DocumentError, ToneError, UsageError
from idtone.tones.making.formats import FORMATS

from ..levels import level_dbm0, part
from .running import run


def test_generate_writes_all_formats_and_their_checksums(ffmpeg, tmp_path, config):
    result = run("generate", "sample", "-o", tmp_path / "out", "-c", config)
    assert result.exit_code == 0
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    assert [Path(path).name for _, path in lines] == [f"sample.{name}" for name in FORMATS]
    for digest, path in lines:
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest


def test_generate_as_json(tmp_path, config):
    arguments = ("generate", "sample", "-o", tmp_path, "--format", "sln16, ulaw,ulaw", "--json", "-c", config)
    first, again = (json.loads(run(*arguments).stdout) for _ in range(2))
    assert [entry["format"] for entry in first] == ["sln16", "ulaw"]
    assert [entry["written"] for entry in first + again] == [True, True, False, False]
    assert first[0]["file"] == str(tmp_path / "sample.sln16")
    assert first[0]["sample_rate_hz"] == 16000


def test_generate_from_a_tone_string(tmp_path):
    tones = ("--tones", "600/100,0/100", "--name", "pu-pu", "--repeat", 2, "--level", -20)
    run("generate", *tones, "-o", tmp_path, "--format", "sln")
    assert (tmp_path / "pu-pu.sln").stat().st_size == 2 * 8 * 400


def test_generate_all_leaves_out_formats_whose_program_is_missing(tmp_path, config, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("generate", "sample", "-o", tmp_path / "out", "-c", config)
    assert result.exit_code == 0
    missing = ["g722", "g726-32", "opus", "spx", "mp3", "m4a"]
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == [f"left out {name}" for name in missing]
    assert "Install the package ffmpeg" in result.stderr
    written = {path.suffix[1:] for path in (tmp_path / "out").iterdir()}
    assert written == set(FORMATS) - set(missing)


def test_generate_names_the_program_of_a_requested_format(tmp_path, config, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToneError, match=r"writing \.opus needs the program ffmpeg.*Install the package ffmpeg"):
        run("generate", "sample", "-o", tmp_path / "out", "--format", "sln,opus", "-c", config)
    assert not (tmp_path / "out").exists()


def test_generate_dithers_from_a_seed(tmp_path, config):
    common = ("generate", "sample", "--format", "sln,ulaw", "--json", "-c", config)
    plain, one, again, other = (
        [entry["sha256"] for entry in json.loads(run(*common, "-o", tmp_path, *seed).stdout)]
        for seed in ((), ("--dither", 1), ("--dither", 1), ("--dither", 2))
    )
    assert one == again
    assert len({plain[0], one[0], other[0]}) == 3
    assert len({plain[1], one[1], other[1]}) == 1, "the law has noise of its own"


def test_generate_shows_a_progress_bar_on_a_terminal(tmp_path, capsys, monkeypatch):
    (tmp_path / "long.yaml").write_text(
        "id: long\ntitle: Long\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [1234.5], on_ms: 600000}]\n"
    )
    arguments = ("generate", tmp_path / "long.yaml", "-o", tmp_path, "--format", "sln")
    quiet = run(*arguments)
    assert quiet.stderr == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    shown = run(*arguments)
    assert "Making long" in shown.stderr
    assert shown.stdout == quiet.stdout


def refusal(*arguments):
    """The exit of a command that must either succeed or report faults of the document."""
    try:
        result = run(*arguments)
    except DocumentError as error:
        return error
    assert result.exit_code == 0
    return None


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, -1, -0.0, 5e-324, 1e308, 1, 2, 100, 600.5, 3400, 3_600_000, 3_600_001, 2**64, 10**400]),
)


@st.composite
def wild_segments(draw):
    segment = {"frequencies_hz": draw(st.lists(NUMBERS, max_size=9)), "on_ms": draw(NUMBERS)}
    for name in ("off_ms", "ramp_ms", "level_dbm0"):
        if draw(st.booleans()):
            segment[name] = draw(NUMBERS)
    if draw(st.booleans()):
        segment["modulation"] = {"rate_hz": draw(NUMBERS), "depth": draw(NUMBERS)}
    if draw(st.booleans()):
        segment["sweep"] = {"to_hz": draw(st.lists(NUMBERS, max_size=9)), "steps": draw(NUMBERS)}
    return segment


@given(st.lists(wild_segments(), max_size=3), NUMBERS, NUMBERS)
@settings(max_examples=60, deadline=None)
def test_a_wild_profile_is_one_clear_error_or_a_sound(segments, level, repeat):
    tree = {"id": "wild", "title": "Wild", "level_dbm0": level, "repeat": repeat, "segments": segments}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wild.yaml")
        path.write_text(yaml.safe_dump(tree))
        out = Path(folder, "out")
        error = refusal("generate", path, "-o", out, "--format", "sln,gsm")
        if error:
            assert all(fault.file == str(path) and fault.remedy for fault in error.faults)
            assert not out.exists()
        else:
            assert {file.name for file in out.iterdir()} == {"wild.sln", "wild.gsm"}


@st.composite
def possible_segments(draw):
    """Each value is allowed on its own, however odd."""
    pitches = st.floats(300, 3400)
    frequencies_hz = draw(st.lists(pitches, min_size=1, max_size=3, unique=True))
    segment = {"frequencies_hz": frequencies_hz, "on_ms": draw(st.floats(1, 300))}
    segment["off_ms"] = draw(st.floats(0, 100))
    segment["ramp_ms"] = draw(st.floats(0, segment["on_ms"] / 2))
    if draw(st.booleans()):
        segment["modulation"] = {"rate_hz": draw(st.floats(0.5, 100)), "depth": draw(st.floats(0.01, 1))}
    if draw(st.booleans()):
        to_hz = draw(st.lists(pitches, min_size=len(frequencies_hz), max_size=len(frequencies_hz)))
        segment["sweep"] = {"to_hz": to_hz, "steps": draw(st.none() | st.integers(2, 60))}
    return segment


@given(st.lists(possible_segments(), min_size=1, max_size=3), st.floats(-40, 0), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_a_possible_profile_becomes_a_sound_of_its_length(segments, level, repeat):
    tree = {"id": "wild", "title": "Wild", "level_dbm0": level, "repeat": repeat, "segments": segments}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wild.yaml")
        path.write_text(yaml.safe_dump(tree))
        error = refusal("generate", path, "-o", folder, "--format", "sln")
        if error:
            assert "clip" in str(error)
        else:
            samples = Path(folder, "wild.sln").stat().st_size // 2
            sound = 8 * repeat * sum(segment["on_ms"] + segment["off_ms"] for segment in segments)
            assert -1 < samples - sound < 160


@pytest.mark.parametrize(
    ("segments", "says"),
    [
        ("[" + "{frequencies_hz: [600], on_ms: 10}, " * 1500 + "]", "more than 64 entries"),
        ("[" + "{on_ms: 1}, " * 1_000_000 + "]", "larger than 65536 bytes"),
        ("[{frequencies_hz: [600], on_ms: 3600000, ramp_ms: 3600000}]", "ramp_ms"),
        ("[{frequencies_hz: [.nan], on_ms: 100}]", "frequencies_hz"),
        ("[{frequencies_hz: [600], on_ms: -.inf}]", "on_ms"),
    ],
)
def test_a_hostile_profile_is_one_clear_error(tmp_path, segments, says):
    path = tmp_path / "hostile.yaml"
    path.write_text(f"id: hostile\ntitle: Hostile\nlevel_dbm0: -16\nsegments: {segments}\n")
    with pytest.raises(DocumentError, match=says):
        run("generate", path, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("generate", "nothing"), UsageError, "the profiles are notice, sample, own"),
        (("generate", "sample", "--format", "flac"), UsageError, "the formats are wav, wav16, sln"),
        (("generate", "sample", "--format", "sln44"), UsageError, "6 dB too low; use sln48"),
        (("generate", "sample", "--format", ""), UsageError, "the formats are wav, wav16, sln"),
        (("generate",), UsageError, "name what to generate"),
        (("generate", "sample", "--tones", "600/100"), UsageError, "name what to generate"),
        (("generate", "--tones", "600"), ToneError, "has no end"),
        (("generate", "--tones", "600/100", "--level", "nan"), DocumentError, "level_dbm0"),
        (("generate", "--tones", "600/100", "--name", "../x"), DocumentError, "cannot name a sound file"),
    ],
)
def test_wrong_use_is_reported(tmp_path, config, arguments, error, says):
    output = ("-o", tmp_path / "out") if arguments[0] == "generate" else ()
    with pytest.raises(error, match=says):
        run(*arguments, *output, "-c", config)
    assert not (tmp_path / "out").exists()


def test_generate_from_tgml_keeps_its_level(tmp_path):
    run("generate", "--tones", "%(100,50,600)", "--name", "own", "-o", tmp_path, "--format", "sln")
    run("generate", "--tones", "%(100,50,600)", "--name", "set", "--level", -20, "-o", tmp_path, "--format", "sln")
    own, wanted = (np.frombuffer((tmp_path / f"{name}.sln").read_bytes(), "<i2") for name in ("own", "set"))
    assert len(own) == len(wanted) == 1280
    assert level_dbm0(part(own, 8000, 10, 90)) == pytest.approx(-7, abs=0.05)
    assert level_dbm0(part(wanted, 8000, 10, 90)) == pytest.approx(-20, abs=0.05)


@pytest.mark.parametrize("option", [("--name", "x"), ("--level", "-20"), ("--repeat", "2")])
def test_options_for_tones_are_refused_beside_a_profile(option, tmp_path):
    with pytest.raises(UsageError, match="go with --tones"):
        run("generate", "sample", *option, "-o", tmp_path)

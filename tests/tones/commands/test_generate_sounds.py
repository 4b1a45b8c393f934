import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import DocumentError, ToneError, UsageError
from idtone.tones.making.formats import FORMATS
from lab.tones.commands.run_tone import run
from lab.tones.error_text import error_text
from lab.tones.levels import level_dbm0, slice_ms


def test_generate_writes_all_formats_and_their_checksums(ffmpeg, tmp_path, config):
    result = run("generate", "sample", "-o", tmp_path / "out", "-c", config)
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    assert [Path(path).name for _, path in lines] == [f"sample.{name}" for name in FORMATS]
    for digest, path in lines:
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest


def test_generate_leaves_out_formats_whose_program_is_missing_or_names_it(tmp_path, config, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("generate", "sample", "-o", tmp_path / "out", "-c", config)
    missing = ["g722", "g726-32", "opus", "spx", "mp3", "m4a"]
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == [f"left out {name}" for name in missing]
    assert "Install the package ffmpeg" in result.stderr
    assert {path.suffix[1:] for path in (tmp_path / "out").iterdir()} == set(FORMATS) - set(missing)
    said = error_text(
        ToneError, run, "generate", "sample", "-o", tmp_path / "more", "--format", "sln,opus", "-c", config
    )
    assert "writing .opus needs the program ffmpeg" in said
    assert not (tmp_path / "more").exists()


def test_generate_as_json(tmp_path, config):
    arguments = ("generate", "sample", "-o", tmp_path, "--format", "sln16, ulaw,ulaw", "--json", "-c", config)
    first, again = (json.loads(run(*arguments).stdout) for _ in range(2))
    assert [entry["format"] for entry in first] == ["sln16", "ulaw"]
    assert [entry["written"] for entry in first + again] == [True, True, False, False]
    assert (first[0]["file"], first[0]["sample_rate_hz"]) == (str(tmp_path / "sample.sln16"), 16000)


@pytest.mark.parametrize(
    ("options", "length_ms", "level"),
    [
        (("--tones", "600/100,0/100", "--repeat", 2, "--level", -20), 400, -20),
        (("--tones", "%(100,50,600)"), 160, -7),
        (("--tones", "%(100,50,600)", "--level", -20), 160, -20),
    ],
)
def test_generate_from_a_tone_string_or_tgml(tmp_path, options, length_ms, level):
    run("generate", *options, "--name", "pu-pu", "-o", tmp_path, "--format", "sln")
    pcm = np.frombuffer((tmp_path / "pu-pu.sln").read_bytes(), "<i2")
    assert len(pcm) == 8 * length_ms
    assert level_dbm0(slice_ms(pcm, 8000, 10, 90)) == pytest.approx(level, abs=0.05)


def test_generate_dithers_from_a_seed(tmp_path, config):
    common = ("generate", "sample", "--format", "sln,ulaw", "--json", "-c", config)
    plain, one, again, other = (
        [entry["sha256"] for entry in json.loads(run(*common, "-o", tmp_path, *seed).stdout)]
        for seed in ((), ("--dither", 1), ("--dither", 1), ("--dither", 2))
    )
    assert one == again
    assert len({plain[0], one[0], other[0]}) == 3
    assert len({plain[1], one[1], other[1]}) == 1, "the law has noise of its own"


def test_generate_shows_a_progress_bar_on_a_terminal(tmp_path, monkeypatch):
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


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, -1, -0.0, 5e-324, 1e308, 1, 2, 100, 600.5, 3400, 3_600_000, 3_600_001, 2**64, 10**400]),
)
WILD = st.fixed_dictionaries(
    {"frequencies_hz": st.lists(NUMBERS, max_size=9), "on_ms": NUMBERS},
    optional={
        **dict.fromkeys(("off_ms", "ramp_ms", "level_dbm0"), NUMBERS),
        "modulation": st.fixed_dictionaries({"rate_hz": NUMBERS, "depth": NUMBERS}),
        "sweep": st.fixed_dictionaries({"to_hz": st.lists(NUMBERS, max_size=9), "steps": NUMBERS}),
    },
)


@given(st.lists(WILD, max_size=3), NUMBERS, NUMBERS)
@settings(max_examples=12, deadline=None)
def test_a_wild_profile_is_one_clear_error_or_a_sound(segments, level, repeat):
    tree = {"id": "wild", "title": "Wild", "level_dbm0": level, "repeat": repeat, "segments": segments}
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "wild.yaml"), Path(folder, "out")
        path.write_text(yaml.safe_dump(tree))
        faults = []
        try:
            run("generate", path, "-o", out, "--format", "sln,gsm")
        except DocumentError as error:
            faults = error.faults
        assert all(fault.file == str(path) and fault.remedy for fault in faults)
        written = {file.name for file in out.iterdir()} if out.exists() else set()
        assert written == (set() if faults else {"wild.sln", "wild.gsm"})


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("nothing",), UsageError, "the profiles are notice, sample, own"),
        (("sample", "--format", ""), UsageError, "the formats are wav, wav16, sln"),
        ((), UsageError, "name what to generate"),
        (("sample", "--tones", "600/100"), UsageError, "name what to generate"),
        (("--tones", "600"), ToneError, "has no end"),
        (("--tones", "600/100", "--level", "nan"), DocumentError, "level_dbm0"),
        (("--tones", "600/100", "--name", "../x"), DocumentError, "cannot name a sound file"),
        (("sample", "--name", "x"), UsageError, "go with --tones"),
        (("sample", "--level", "-20"), UsageError, "go with --tones"),
        (("sample", "--repeat", "2"), UsageError, "go with --tones"),
    ],
)
def test_wrong_use_is_reported(tmp_path, config, arguments, error, says):
    assert says in error_text(error, run, "generate", *arguments, "-o", tmp_path / "out", "-c", config)
    assert not (tmp_path / "out").exists()

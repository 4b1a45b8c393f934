"""The sounds for calls on a node without the libraries that make sounds."""

import sys
from pathlib import Path

import pytest

from idtone.config import __file__ as config
from idtone.core.errors import ToneError
from idtone.tones.making.encoders import encode
from idtone.tones.making.formats import FORMATS
from idtone.tones.making.sound_files import PBX_FORMATS, install_sounds
from idtone.tones.master_import import ImportRequest, import_master
from idtone.tones.profile_library import load_library
from idtone.tones.sound_file_contents import SoundFileContents
from lab.tones.error_text import error_text
from lab.tones.synthetic_recordings import with_silence, write

ENCODERS = "idtone.tones.making.encoders"


def test_the_shipped_files_are_what_the_encoders_make():
    shipped = {path.name: path.read_bytes() for path in Path(config).with_name("sounds").iterdir()}
    assert shipped == {
        f"{name}.{each}": encode(profile, FORMATS[each])
        for name, profile in load_library().items()
        for each in PBX_FORMATS
    }


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """A folder with an imported profile, its master and its sound files."""
    master = write(tmp_path / "master.wav", 0.5 * with_silence(), subtype="PCM_16")
    folder = tmp_path / "imported"
    import_master(master, ImportRequest("pu-pu", "Pu pu", -16), folder, folder, PBX_FORMATS)
    return folder


def put(folder: Path) -> dict[str, bytes]:
    """The sound files that the service writes: name → content."""
    library = load_library(folder)
    sounds = install_sounds(folder, library.for_calls(), SoundFileContents(folder, library).content)
    return {file.path.name: file.path.read_bytes() for sound in sounds.values() for file in sound.files}


def test_a_node_needs_the_files_of_an_import_and_no_library(imported, monkeypatch):
    monkeypatch.setitem(sys.modules, ENCODERS, None)
    sounds = put(imported)
    assert set(sounds) == {f"{name}.{each}" for name in ("notice", "pu-pu", "sample") for each in PBX_FORMATS}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("pu-pu.ulaw", b"", b"\x00"),
        ("pu-pu.yaml", b"level_dbm0: -16", b"level_dbm0: -17"),
        ("pu-pu.sha256", b"encoders 1", b"encoders 0"),
        ("pu-pu.sha256", b"", b"\xff"),
    ],
)
def test_what_is_not_as_it_was_imported_is_made_anew_or_refused(imported, monkeypatch, name, before, after):
    path = imported / name
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, ENCODERS, None)
        said = error_text(ToneError, put, imported)
    assert "is not the file that `idtone tone import` made" in said
    assert "pip install 'idtone[sounds]'" in said
    profile = load_library(imported)["pu-pu"]
    assert {each: put(imported)[f"pu-pu.{each}"] for each in PBX_FORMATS} == {
        each: encode(profile, FORMATS[each]) for each in PBX_FORMATS
    }

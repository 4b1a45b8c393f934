"""The doctor's findings on imported sounds, for a node without the libraries that make sounds."""

import sys
from datetime import UTC, datetime

from idtone.core.errors import DocumentError
from idtone.core.settings.settings import Settings
from idtone.operations.doctor.check_inputs import CheckInputs
from idtone.operations.doctor.findings import Finding, State
from idtone.operations.doctor.shared_file_checks import sounds_check
from idtone.tones.making.sound_files import PBX_FORMATS, install_sounds
from idtone.tones.master_import import ImportRequest, import_master
from idtone.tones.profile_library import load_library
from idtone.tones.sound_file_contents import SoundFileContents
from lab.tones.synthetic_recordings import with_silence, write


def test_imported_sounds_are_compared_with_the_list_or_cannot_be_made(tmp_path, monkeypatch):
    own, folder = tmp_path / "own", tmp_path / "sounds"
    master = write(tmp_path / "master.wav", 0.5 * with_silence(), subtype="PCM_16")
    import_master(master, ImportRequest("pu-pu", "Pu pu", -16), own, folder, PBX_FORMATS)
    library = load_library(own)
    install_sounds(folder, library.for_calls(), SoundFileContents(folder, library).content)
    settings = Settings.model_validate(
        {
            "sounds": {"directory": str(folder), "profiles": str(own)},
            "ledger": {"url": f"sqlite:///{tmp_path}/l.sqlite3"},
        }
    )

    def examine() -> list[Finding]:
        inputs = CheckInputs(settings, None, None, {}, lambda: datetime.now(UTC))
        inputs.not_looked(DocumentError([]))
        return list(sounds_check(inputs))

    sounds, _ = examine()
    assert sounds.found == "15 files, all as their profiles say"
    monkeypatch.setitem(sys.modules, "idtone.tones.making.encoders", None)
    sounds, _ = examine()
    assert sounds.state is State.GOOD
    assert "compared with the list only" in sounds.found
    (folder / "pu-pu.ulaw").write_bytes(b"")
    sounds, readable = examine()
    assert (sounds.state, readable.state) == (State.BAD, State.UNKNOWN)
    assert "pu-pu.ulaw: is not the file that `idtone tone import` made" in sounds.found
    assert sounds.remedy == readable.remedy == "Import the sound again, or: pip install 'idtone[sounds]'"

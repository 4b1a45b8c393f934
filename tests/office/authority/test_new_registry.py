"""The two files of `idtone-office publication new-registry`."""

import shutil

from idtone.registry.sources import read_document


def test_two_good_files_are_written_and_existing_ones_stay(new_office):
    office = new_office
    shutil.rmtree(office.folder)
    written = office.output("publication new-registry", "--association", "日本の協会: 1")
    assert written == f"{office.registry} is written\n{office.suspensions} is written\n"
    assert read_document(office.registry).registry.association == "日本の協会: 1"
    assert office.run("check", office.folder)[0] == 0
    assert office.registry.stat().st_mode & 0o777 == 0o600, "a registry names signatories"
    office.registry.unlink()
    assert f"{office.suspensions}: exists already" in office.refused("publication new-registry")
    assert not office.registry.exists()

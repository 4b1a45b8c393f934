"""How the association's commands find their folder: by a setting, a variable or an option."""

import os
from pathlib import Path

import pytest

from idtone.core.settings.settings import variable_name
from idtone.office.commands import office_folder
from lab.terminal import Terminal


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a registry; the office's settings name this folder."""
    monkeypatch.delenv(office_folder.VARIABLE, raising=False)
    monkeypatch.delenv("IDTONE_CONFIG", raising=False)
    monkeypatch.setattr(office_folder, "SETTINGS", tmp_path / "idtone.yaml")
    folder = begun(tmp_path / "office")
    office_folder.SETTINGS.write_text(f"console: {{office: {folder}}}\n")
    return folder


def begun(folder: Path) -> Path:
    Terminal().output("publication new-registry", "--folder", folder, "--association", folder.name)
    return folder


def begins_in(*words: object) -> str:
    """Name of the folder in which `publication new-registry` finds a registry."""
    error = Terminal().error("publication new-registry", *words)
    return Path(error.removeprefix("idtone: ").partition(": ")[0]).parent.name


def test_the_option_counts_before_the_environment_and_the_environment_before_the_settings(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert variable_name(("console", "office")) == office_folder.VARIABLE
    assert begins_in() == "office"
    assert Terminal().json("member find", "nobody", code=1)["members"] == []
    (tmp_path / "other.yaml").write_text(f"console: {{office: {begun(tmp_path / 'tried')}}}\n")
    monkeypatch.setenv("IDTONE_CONFIG", str(tmp_path / "other.yaml"))
    assert begins_in() == "tried"
    monkeypatch.setenv(office_folder.VARIABLE, str(begun(tmp_path / "named")))
    assert begins_in() == "named"
    assert begins_in("-f", folder) == begins_in("--folder", folder) == "office"


def test_one_error_says_what_to_type(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # where someone stands does not count
    for settings in ("node: x\n", None):
        office_folder.SETTINGS.write_text(settings) if settings else office_folder.SETTINGS.unlink()
        assert Terminal().error("history show") == (
            "idtone: which folder is the association's? Type --folder FOLDER, or name it as console.office in "
            f"{office_folder.SETTINGS}"
        )
    empty = tmp_path / "empty"
    error = Terminal().error("history show", "--folder", empty)
    assert f"{empty}: has no registry.yaml" in error
    Terminal().output(*error.partition("idtone-office ")[2].split())  # what it says to type
    assert Terminal().json("member contacts", "--folder", empty) == []
    office_folder.SETTINGS.write_text("console: {offices: x}\n")
    assert f"{office_folder.SETTINGS}:1:" in Terminal().error("history show")


def test_a_folder_of_another_user_is_refused_with_the_line_that_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root would leave files there, and the desk could not change them."""
    account = os.geteuid()
    name = office_folder._name_of(account)
    monkeypatch.setattr(os, "geteuid", lambda: account + 1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert f"belongs to the user {name}; begin the line with: sudo -u {name}" in Terminal().error("history show")
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert Terminal().json("member contacts") == []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    status = os.stat_result((*folder.stat()[:4], 4242, *folder.stat()[5:]))
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **k: status if path == folder else real(path, **k))
    assert "begin the line with: runuser -u #4242 --" in Terminal().error("history show")

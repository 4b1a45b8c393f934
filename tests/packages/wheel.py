"""The wheel in an environment without this checkout, and the bytes of the wheel: `make test-packages`."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import pytest

from lab.repository import ROOT, files
from lab.setup_cfg import package_folders
from tools import dist

MAN_PAGES = [*(ROOT / "docs" / "man").glob("*.1")]
DATA = {"LC_MESSAGES", "pages", "profiles", "sounds", "static", "templates"}
"""Folders of data in the packages."""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> list[Path]:
    """The wheel and the source archive. The wheel is made from the archive, so that both are complete."""
    return dist.build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return built[0]


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Path:
    """An environment with only the wheel. It uses the libraries of this one, last in the path and without their .pth
    files.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    before = set(site_packages(folder).iterdir())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--python",
            folder / "bin/python",
            "install",
            "--no-deps",
            "--no-compile",
            wheel,
        ],
        check=True,
    )
    arrived = {path.name for path in set(site_packages(folder).iterdir()) - before}
    (folder / "arrived").write_text("\n".join(sorted(arrived)))
    (site_packages(folder) / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def site_packages(folder: Path) -> Path:
    return next(folder.glob("lib/python3*/site-packages"))


def run(installed: Path, cwd: Path, *command: str) -> str:
    """Run a program of the environment outside the checkout; returns its standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "IDTONE"))}
    return subprocess.check_output(
        [installed / "bin" / command[0], *command[1:]], cwd=cwd, env=environment, text=True, stdin=subprocess.DEVNULL
    )


def test_the_command_runs_from_the_wheel_which_brings_idtone_alone(installed, tmp_path):
    arrived = (installed / "arrived").read_text().split()
    assert arrived == ["idtone", f"idtone-{metadata.version('idtone')}.dist-info"]
    assert "Usage: idtone" in run(installed, tmp_path, "idtone", "--help")
    where = run(installed, tmp_path, "python", "-c", "import idtone.tones; print(idtone.tones.__file__)")
    assert Path(where.strip()).is_relative_to(site_packages(installed))
    (tmp_path / "exported").mkdir()
    run(installed, tmp_path, "idtone", "dialplan", "export", "exported")
    assert "idtone-forward" in (tmp_path / "exported" / "idtone.conf").read_text()


def test_every_module_and_file_of_data_is_in_the_wheel(wheel):
    shared = [
        ("man/man1", MAN_PAGES),
        ("idtone", (ROOT / "config" / "monitoring").iterdir()),
        ("idtone/kamailio", (ROOT / "config" / "kamailio").iterdir()),
    ]
    share = f"idtone-{metadata.version('idtone')}.data/data/share"
    wanted = {f"{share}/{folder}/{path.name}" for folder, paths in shared for path in paths}
    paths = files()
    for module, folder in package_folders().items():
        for path in paths:
            if path.parent == ROOT / folder or (
                path.is_relative_to(ROOT / folder) and DATA.intersection(path.relative_to(ROOT / folder).parts[:-1])
            ):
                wanted.add(f"{module.replace('.', '/')}/{path.relative_to(ROOT / folder)}")
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == wanted
    assert {"idtone/py.typed", "idtone/config/idtone.yaml", "idtone/dialplan/idtone.conf"} <= wanted
    assert any(name.startswith("idtone/config/profiles/") for name in wanted)
    assert "idtone/config/locale/ja/LC_MESSAGES/idtone.mo" in wanted


def test_the_same_commit_gives_the_same_bytes(built, tmp_path, monkeypatch):
    copy = dist.copy_source

    def later(into: Path) -> Path:
        """Make another checkout of the same commit, with other times and another umask."""
        for path in copy(into).rglob("*"):
            os.utime(path, (1, 1))
        return into

    monkeypatch.setattr(dist, "copy_source", later)
    before = os.umask(0o077)
    try:
        again = dist.build(tmp_path)
    finally:
        os.umask(before)
    assert [path.suffix for path in built] == [".whl", ".gz"]
    first, second = ({path.name: sha256(path.read_bytes()).hexdigest() for path in each} for each in (built, again))
    assert first == second

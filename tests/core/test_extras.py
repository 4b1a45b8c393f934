"""The extra that installs each library, and the parts that work without any extra."""

import configparser
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import idtone
from idtone.core.terminal import extras
from idtone.core.terminal.extras import EXTRAS, PACKAGES, install_command
from lab.repository import ROOT, modules

IMPORT_ALL = """
import importlib, sys
sys.modules |= dict.fromkeys(sys.argv[1:])
for name in sys.stdin.read().split():
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name.partition(".")[0] in sys.argv, error
        print(name)
"""
NEED_EXTRAS = {
    "console", "core.paper.pdf", "core.paper.pdf_archive", "core.paper.pdf_tags", "operations.canary.place_call",
    "operations.import_sound_master",
    "tones.detector.profile_json",
    "tones.master_import", "tones.making", "tones.master_measurement", "tones.measuring", "tones.recordings",
    "tones.mask_runs", "tones.showing", "tones.verification",
}  # fmt: skip
"""Modules that cannot be imported without an extra, and rooms with such modules."""


def test_the_table_names_the_libraries_of_setup_cfg():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    owners = metadata.packages_distributions()
    for library, extra in EXTRAS.items():
        listed = re.findall(r"^[\w-]+", setup["options.extras_require"][extra], re.MULTILINE)
        wanted = {"audioop-lts"} if library == "audioop" else set(owners[library])  # until Python 3.12 it is Python's
        assert wanted & set(listed), library


def test_in_the_debian_packages_apt_installs_what_is_missing(monkeypatch):
    assert install_command("sounds") == "pip install 'idtone[sounds]'"
    monkeypatch.setattr(extras.sys, "prefix", "/opt/venvs/idtone")
    assert install_command("sounds") == f"apt install ./idtone-sounds_{idtone.__version__}*.deb"
    assert install_command("plot") == "pip install 'idtone[plot]'", "no package has it"


def test_each_extra_of_the_table_and_no_other_is_in_the_lock():
    """`make lock` names all extras of the table, so that the packages have the promised libraries."""
    control = (ROOT / "debian/control").read_text()
    lock = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "uv pip compile" in line)
    assert {"console", "office", "sounds", "timestamps"} | set(re.findall(r"--extra (\w+)", lock)) == set(PACKAGES)
    assert set(re.findall(r"^Package: (\S+)$", control, re.MULTILINE)) == set(PACKAGES.values())


@pytest.mark.breadth
def test_a_node_imports_nothing_of_an_extra(tmp_path: Path):
    paths = [path.relative_to(ROOT).with_suffix("").parts for path in modules()]
    names = {".".join(["idtone", *(part for part in parts if part not in ("idtone", "__init__"))]) for parts in paths}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *EXTRAS],
        cwd=tmp_path,
        input="\n".join(sorted(names)),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    beginnings = {
        name: [each for each in NEED_EXTRAS if f"{name}.".startswith(f"idtone.{each}.")] for name in done.stdout.split()
    }
    assert {each for found in beginnings.values() for each in found} == NEED_EXTRAS
    assert [name for name, found in beginnings.items() if not found] == []


WITHOUT = """
import ctypes, sys
def load(*_):
    raise OSError
ctypes.CDLL = load  # no libsodium
sys.modules[sys.argv.pop(1)] = None
sys.argv[0] = "idtone"
from idtone.cli import main
main()
"""
"""Program that runs `idtone` without a library and without libsodium."""


@pytest.mark.parametrize(
    ("library", "extra", "command"),
    [("numpy", "sounds", "tone generate notice -o {folder}"), ("jinja2", "console", "console")],
)
def test_a_command_names_the_extra_that_it_needs(tmp_path: Path, library, extra, command):
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT, library, *command.format(folder=tmp_path).split()],
        check=False,
        capture_output=True,
        text=True,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == f"idtone: this needs {library}, which is not installed: pip install 'idtone[{extra}]'\n"

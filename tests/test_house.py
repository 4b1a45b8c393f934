"""The rules of the house that a machine can see."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import ROOT

FOLDERS = {
    ".ci", ".github", "agi", "ari_app", "authority", "call_control", "config", "dialplan", "docs", "ledger",
    "operations", "registry", "service", "src", "tests", "tones",
}  # fmt: skip
FILES = {
    ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.ja.md",
    "README.md", "SECURITY.md", "mkdocs.yml", "pyproject.toml", "setup.cfg",
}  # fmt: skip


def files() -> list[Path]:
    """Every file that is or may become part of the repository."""
    listing = subprocess.check_output(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
    )
    paths = [ROOT / os.fsdecode(name) for name in listing.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def modules() -> list[Path]:
    """The Python files of the product itself; the verifier beside the documents stands alone, and is not installed."""
    apart = (ROOT / "tests", ROOT / "docs")
    return [path for path in files() if path.suffix == ".py" and not any(map(path.is_relative_to, apart))]


def make(target: str, tree: Path) -> None:
    subprocess.run(["make", target], cwd=tree, check=True, capture_output=True)


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A copy of the product to break."""
    copy = tmp_path_factory.mktemp("house")
    for path in [*modules(), ROOT / "setup.cfg", ROOT / "pyproject.toml", ROOT / "Makefile"]:
        (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(ROOT))
    return copy


def import_linter(house: Path) -> subprocess.CompletedProcess[str]:
    make("house", house)
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house, env={**os.environ, "PYTHONPATH": "build/house"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_who_may_import_whom_is_kept(house):
    verdict = import_linter(house)
    assert verdict.returncode == 0, verdict.stdout
    analysed = re.search(r"Analyzed (\d+) files", verdict.stdout)
    assert analysed, verdict.stdout
    assert int(analysed[1]) == len(modules())


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("src/idtone/decision.py", "idtone.registry"),
        ("src/idtone/console.py", "idtone.dialplan"),
        ("src/idtone/settings.py", "idtone.cli"),
        ("tones/__init__.py", "idtone.ledger"),
        ("registry/__init__.py", "idtone.tones"),
        ("ledger/__init__.py", "idtone.registry"),
        ("ledger/__init__.py", "idtone.dialplan"),
        ("tones/__init__.py", "idtone.config"),
        ("registry/__init__.py", "idtone.ari_app"),
        ("registry/__init__.py", "idtone.authority"),
        ("authority/__init__.py", "idtone.call_control"),
        ("call_control/__init__.py", "idtone.authority"),
        ("ari_app/__init__.py", "idtone.authority"),
        ("agi/__init__.py", "idtone.authority"),
        ("service/instance.py", "idtone.authority"),
        ("tones/__init__.py", "idtone.agi"),
        ("ari_app/__init__.py", "idtone.agi"),
        ("agi/__init__.py", "idtone.ari_app"),
        ("call_control/__init__.py", "idtone.ari_app"),
        ("call_control/__init__.py", "idtone.agi"),
        ("ledger/__init__.py", "idtone.call_control"),
        ("agi/__init__.py", "idtone.config"),
        ("ari_app/__init__.py", "idtone.cli"),
        ("dialplan/__init__.py", "idtone.errors"),
        ("ledger/evidence/__init__.py", "idtone.ledger.keys"),
        ("ledger/tree/__init__.py", "idtone.ledger.evidence"),
        ("ledger/store/__init__.py", "idtone.ledger.writing"),
        ("ledger/verification/__init__.py", "idtone.ledger.writing"),
        ("ledger/witness/__init__.py", "idtone.ledger.replication"),
        ("config/__init__.py", "idtone.settings"),
        ("config/__init__.py", "idtone.dialplan"),
    ],
)
def test_an_import_against_the_arrows_is_found(house, importer, imported):
    path = house / importer
    before = path.read_text()
    try:
        path.write_text(f"{before}\nimport {imported}  # against the arrows\n")
        verdict = import_linter(house)
    finally:
        path.write_text(before)
    assert verdict.returncode == 1
    assert "BROKEN" in verdict.stdout


@pytest.mark.parametrize("newcomer", ["src/idtone/newcomer.py", "newcomer/__init__.py"])
def test_a_module_or_room_without_a_place_is_found(house, newcomer):
    path = house / newcomer
    settings = (house / "setup.cfg").read_text()
    path.parent.mkdir(exist_ok=True)
    path.touch()
    try:
        (house / "setup.cfg").write_text(
            settings.replace("    idtone.agi = agi", "    idtone.agi = agi\n    idtone.newcomer = newcomer")
        )
        verdict = import_linter(house)
    finally:
        path.unlink()
        (house / "setup.cfg").write_text(settings)
    assert verdict.returncode == 1
    assert "newcomer" in verdict.stdout


def test_the_folders_at_the_top_are_the_rooms():
    tops = {path.relative_to(ROOT).parts for path in files()}
    assert {parts[0] for parts in tops if len(parts) > 1} <= FOLDERS
    assert {parts[0] for parts in tops if len(parts) == 1} <= FILES


MACHINE_PATH = r"(?<![\w.$}>-])/(?:work|home|root|Users)/\w"
REGISTRY_HOST = (
    r"(?i)\b(?:deb\.debian|ftp\.[a-z.]*debian|snapshot\.debian|pypi|files\.pythonhosted|registry\.npmjs)\.(?:org|net)\b"
)
UNFINISHED = r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b"


@pytest.mark.parametrize("unwanted", [MACHINE_PATH, REGISTRY_HOST, UNFINISHED])
def test_nothing_of_one_machine_and_nothing_unfinished(unwanted):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        if path != Path(__file__)
        and path.suffix not in (".mo", ".ttf", ".zip")  # no text, in which any letters may meet
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if re.search(unwanted, line)
    ]
    assert not found


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "cd /home/me/idtone"),
        (MACHINE_PATH, 'open("/root/x")'),
        (REGISTRY_HOST, f"http://{'.'.join(('deb', 'debian', 'org'))}/debian"),
        (UNFINISHED, "raise NotImplementedError"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern, line):
    assert re.search(pattern, line)


def test_every_module_says_what_it_is_for():
    silent = [path.relative_to(ROOT) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_the_commands_of_the_readme_exist():
    named = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text()))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets

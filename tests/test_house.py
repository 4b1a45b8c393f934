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

from . import ROOT, files, modules

FOLDERS = {
    ".ci", ".github", "agi", "ari_app", "authority", "call_control", "config", "console", "correspondence",
    "customers", "debian", "dialplan", "docs", "evaluation", "ledger", "misuse", "operations", "registry", "reports",
    "service", "src", "tests", "tones",
}  # fmt: skip
FILES = {
    ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.ja.md",
    "README.md", "SECURITY.md", "mkdocs.yml", "pyproject.toml", "requirements.lock", "setup.cfg",
}  # fmt: skip


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


AGAINST_THE_ARROWS = {
    # a module, and what it must not import from `idtone`
    "src/idtone/decision.py": "registry",
    "src/idtone/command_line.py": "dialplan",
    "src/idtone/settings.py": "cli",
    "tones/__init__.py": "ledger config agi",
    "registry/__init__.py": "tones ari_app authority",
    "ledger/__init__.py": "registry dialplan call_control",
    "authority/__init__.py": "call_control",
    "misuse/__init__.py": "authority call_control",
    "call_control/__init__.py": "authority ari_app agi",
    "customers/__init__.py": "authority call_control",
    "reports/__init__.py": "authority customers",
    "ari_app/__init__.py": "authority agi cli",
    "agi/__init__.py": "authority ari_app config",
    "service/instance.py": "authority",
    "dialplan/__init__.py": "errors",
    "ledger/evidence/__init__.py": "ledger.keys",
    "ledger/tree/__init__.py": "ledger.evidence",
    "ledger/store/__init__.py": "ledger.writing",
    "ledger/verification/__init__.py": "ledger.writing",
    "ledger/witness/__init__.py": "ledger.replication",
    "config/__init__.py": "settings dialplan",
}


def test_who_may_import_whom_is_kept_and_each_import_against_the_arrows_is_found(house):
    verdict = import_linter(house)
    assert verdict.returncode == 0, verdict.stdout
    analysed = re.search(r"Analyzed (\d+) files", verdict.stdout)
    assert analysed, verdict.stdout
    assert int(analysed[1]) == len(modules())
    before = {module: (house / module).read_text() for module in AGAINST_THE_ARROWS}
    wanted = set()
    for module, imported in AGAINST_THE_ARROWS.items():
        name = module.removeprefix("src/idtone/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        wanted |= {f"idtone.{name} -> idtone.{each}" for each in imported.split()}
        lines = "".join(f"import idtone.{each}\n" for each in imported.split())
        (house / module).write_text(f"{before[module]}\n{lines}")
    verdict = import_linter(house)
    for module, text in before.items():
        (house / module).write_text(text)
    assert verdict.returncode == 1
    assert {each for each in wanted if f"{each} (" not in verdict.stdout} == set(), verdict.stdout


def test_a_module_or_room_without_a_place_is_found(house):
    newcomers = ["src/idtone/newcomer.py", "stranger/__init__.py"]
    settings = (house / "setup.cfg").read_text()
    for newcomer in newcomers:
        (house / newcomer).parent.mkdir(exist_ok=True)
        (house / newcomer).touch()
    more = settings.replace("    idtone.agi = agi", "    idtone.agi = agi\n    idtone.stranger = stranger")
    (house / "setup.cfg").write_text(more)
    verdict = import_linter(house)
    for newcomer in newcomers:
        (house / newcomer).unlink()
    (house / "setup.cfg").write_text(settings)
    assert (verdict.returncode, "newcomer" in verdict.stdout, "stranger" in verdict.stdout) == (1, True, True)


def test_the_folders_at_the_top_are_the_rooms():
    tops = {path.relative_to(ROOT).parts for path in files()}
    assert {parts[0] for parts in tops if len(parts) > 1} <= FOLDERS
    assert {parts[0] for parts in tops if len(parts) == 1} <= FILES


MACHINE_PATH = r"(?<![\w.$}>-])/(?:work|home|root|Users)/\w"
HOSTS = r"deb\.debian|ftp\.[a-z.]*debian|snapshot\.debian|pypi|files\.pythonhosted|registry\.npmjs"
REGISTRY_HOST = rf"(?i:\b(?:{HOSTS})\.(?:org|net)\b)"
UNFINISHED = r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b"


def test_nothing_of_one_machine_and_nothing_unfinished():
    for pattern, line in (
        (MACHINE_PATH, "cd /home/me/idtone"),
        (MACHINE_PATH, 'open("/root/x")'),
        (REGISTRY_HOST, f"http://{'.'.join(('deb', 'debian', 'org'))}/debian"),
        (UNFINISHED, "raise NotImplementedError"),
    ):
        assert re.search(pattern, line), "the patterns find what they are for"
    unwanted = re.compile(f"{MACHINE_PATH}|{REGISTRY_HOST}|{UNFINISHED}")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        if path != Path(__file__)
        and path.suffix not in (".mo", ".ttf", ".zip")  # no text, in which any letters may meet
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if unwanted.search(line)
    ]
    assert not found


def test_every_module_says_what_it_is_for():
    silent = [path.relative_to(ROOT) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_the_commands_of_the_readme_exist():
    named = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text()))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets

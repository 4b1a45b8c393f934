"""The rules of this repository that a program can check."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.repository import ROOT, files, links, modules, parsed

FOLDERS = {
    ".ci", ".github", "agi", "ari_app", "bench", "call_control", "config", "console", "core", "debian", "dialplan",
    "docs", "idtone", "lab", "ledger", "member", "office", "operations", "registry", "service", "tests", "tones",
    "tools",
}  # fmt: skip
FILES = {
    ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.ja.md",
    "README.md", "SECURITY.md", "mkdocs.yml", "pyproject.toml", "requirements.lock", "setup.cfg",
}  # fmt: skip


AGAINST_THE_ARROWS = {
    # a module, and what it must not import from `idtone`
    "core/decision.py": "registry",
    "core/terminal/command_line.py": "dialplan",
    "core/settings/settings.py": "cli",
    "tones/__init__.py": "ledger config agi",
    "registry/__init__.py": "tones ari_app office",
    "registry/customer_lines/__init__.py": "member call_control",
    "registry/suspensions/__init__.py": "office call_control service",
    "ledger/__init__.py": "registry dialplan call_control",
    "office/authority/__init__.py": "call_control service console",
    "member/misuse/__init__.py": "office call_control member.reports",
    "member/customers/__init__.py": "office call_control",
    "call_control/__init__.py": "office ari_app agi",
    "call_control/brake/__init__.py": "member service",
    "ari_app/__init__.py": "office agi cli",
    "agi/__init__.py": "office ari_app config",
    "service/instance.py": "office member",
    "operations/__init__.py": "office member console",
    "dialplan/__init__.py": "core.errors",
    "ledger/evidence/__init__.py": "ledger.keys",
    "ledger/tree/__init__.py": "ledger.evidence",
    "ledger/store/__init__.py": "ledger.writing",
    "ledger/verification/__init__.py": "ledger.writing",
    "ledger/witness/__init__.py": "ledger.replication",
    "config/__init__.py": "core.settings.settings dialplan",
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the product, for tests that break its rules."""
    for path in [*modules(), ROOT / "pyproject.toml", *links()]:
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path.relative_to(ROOT), follow_symlinks=False)
    return tmp_path


def import_linter(house: Path) -> tuple[int, str]:
    """The exit code and output of the import linter."""
    verdict = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house,
        capture_output=True,
        text=True,
        check=False,
    )
    return verdict.returncode, verdict.stdout


@pytest.mark.nightly
def test_who_may_import_whom_is_kept_and_each_breach_is_found(house):
    """Breaches: an import against the layers, and a module or room without a place. By day, `make check` finds them."""
    code, told = import_linter(house)
    assert code == 0, told
    assert f"Analyzed {len(modules())} files" in told
    breaches = {"newcomer", "stranger"}
    for module, imported in AGAINST_THE_ARROWS.items():
        name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        breaches |= {f"idtone.{name} -> idtone.{each} (" for each in imported.split()}
        with (house / module).open("a") as file:
            file.write("".join(f"\nimport idtone.{each}\n" for each in imported.split()))
    for newcomer in (house / "idtone/newcomer.py", house / "stranger/__init__.py"):
        newcomer.parent.mkdir(exist_ok=True)
        newcomer.touch()
    (house / "idtone/stranger").symlink_to("../stranger")
    code, told = import_linter(house)
    assert (code, {each for each in breaches if each not in told}) == (1, set()), told


def test_the_package_links_to_each_room_at_the_top():
    rooms = {path.parent.name for path in modules() if path.parent.parent == ROOT} - {"idtone"}
    assert {link.name: str(link.readlink()) for link in links()} == {room: f"../{room}" for room in rooms}


def test_the_folders_at_the_top_are_the_rooms():
    tops = {path.relative_to(ROOT).parts for path in files()}
    assert {parts[0] for parts in tops if len(parts) > 1} <= FOLDERS
    assert {parts[0] for parts in tops if len(parts) == 1} <= FILES


TOPS = ("work", "home", "root", "Users")
MACHINE_PATH = rf"(?<![\w.$}}>-])/(?:{'|'.join(TOPS)})/\w"
HOSTS = r"deb\.debian|ftp\.[a-z.]*debian|snapshot\.debian|pypi|files\.pythonhosted|registry\.npmjs"
REGISTRY_HOST = rf"(?i:\b(?:{HOSTS})\.(?:org|net)\b)"
MARKS = ("TODO", "FIXME", "XXX", "NotImplementedError")
UNFINISHED = rf"\b(?:{'|'.join(MARKS)})\b"
TRACES = (
    *(f"/{top}/".lower() for top in TOPS),
    *("debian.", "pypi.", "pythonhosted.", "npmjs."),
    *(mark.lower() for mark in MARKS),
)
"""Substrings in lower case. Every match of the patterns contains one of them, and looking for them takes a tenth of the
time.
"""


HOST_NAMES = (
    *("deb.debian", "ftp.debian", "ftp.jp.debian", "Snapshot.Debian"),
    *("pypi", "files.pythonhosted", "registry.npmjs"),
)


def is_possible(text: str) -> bool:
    """True if the patterns may match in the text."""
    lower = text.lower()
    return any(trace in lower for trace in TRACES)


def test_nothing_of_one_machine_and_nothing_unfinished():
    for pattern, line in (
        *((MACHINE_PATH, f"cd /{top}/me/idtone") for top in TOPS),
        *((REGISTRY_HOST, f"http://{host}.{end}/x") for host in HOST_NAMES for end in ("org", "net")),
        *((UNFINISHED, f"# {word}: later") for word in MARKS),
    ):
        assert re.search(pattern, line), "the patterns find what they are for"
        assert is_possible(line), line
    unwanted = re.compile(f"{MACHINE_PATH}|{REGISTRY_HOST}|{UNFINISHED}")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        if path != Path(__file__)
        and path.suffix not in (".mo", ".png", ".ttf", ".zip")  # no text, in which any letters may meet
        if is_possible(text := path.read_text(errors="replace"))
        for number, line in enumerate(text.splitlines(), 1)
        if unwanted.search(line)
    ]
    assert not found


def modules_of_tests(path: Path, text: str) -> Iterator[str]:
    """The places where a module imports from `tests`, or starts a module of `tests` by its name."""
    package = path.parent.relative_to(ROOT).parts
    if not (re.search(r"\btests(?:\.\w|\s+import\b)", text) or ("from ." in text and package[0] == "tests")):
        return  # to parse each module would take long
    for node in ast.walk(parsed(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            names = [".".join((*start, node.module or "")).strip(".") + f".{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"tests(\.\w+){2,}", str(node.value)):
            names = [node.value]
        yield from (f"{path.relative_to(ROOT)}:{node.lineno}: {name}" for name in names if name.startswith("tests."))


def test_what_tests_share_is_in_the_lab():
    for folder, line in (
        ("tests/core", "from .test_settings import OTHER"),
        ("tests/core", "from ..test_house import house"),
        ("tests/core", "from . import conftest"),
        ("tests/core", "from .. import conftest"),
        ("tools", "from tests import conftest"),
        ("bench", "import tests.core.test_settings"),
        ("lab", "def late():\n    from tests.core.test_settings import OTHER"),
        ("lab", "run([sys.executable, '-m', 'tests.core.year'])"),
    ):
        assert [*modules_of_tests(ROOT / folder / "stranger.py", line)], line
    beside = [path for path in files() if path.relative_to(ROOT).parts[0] in {"bench", "lab", "tests", "tools"}]
    beside = [path for path in beside if path.suffix == ".py" and path != Path(__file__)]
    assert [each for path in beside for each in modules_of_tests(path, path.read_text("utf-8"))] == []


def test_a_docstring_begins_with_what_the_reader_gets():
    clause = re.compile(
        r"(?:None if|Whether|By|If|Of|As|That|Not|Without|With|What|Who|Whose|When|Where|Which|How|Why)\b"
    )
    possible = re.compile(rf'"""\s*{clause.pattern}')  # also of a variable, whose words may begin so
    begins = [
        f"{path.relative_to(ROOT)}:{node.body[0].lineno}"
        for path in modules()
        if possible.search(text := path.read_text("utf-8"))
        for node in ast.walk(parsed(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and clause.match(ast.get_docstring(node) or "")
    ]
    assert not begins


def test_no_test_changes_the_clock_of_all_threads():
    """Another thread of the process may depend on the clock. `lab.patch_library.patch_library` changes it for one
    module only.
    """
    change = re.compile(r"setattr\((?:\w+\.)*(?:time|asyncio), ")
    for line, found in (('setattr(module.time, "sleep", x)', True), ('setattr(module, "time", x)', False)):
        assert bool(change.search(line)) is found
    tests = [path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in {"lab", "tests"}]
    assert [path for path in tests if path != Path(__file__) and change.search(path.read_text("utf-8"))] == []


def test_every_module_says_what_it_is_for():
    docstring = re.compile(r'(?:#.*\n|\s)*"""\S')
    silent = [path.relative_to(ROOT) for path in modules() if not docstring.match(path.read_text())]
    assert not silent

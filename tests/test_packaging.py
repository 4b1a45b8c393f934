"""The packages and libraries of the distribution. tests/packages/wheel.py builds and installs it."""

import re
import sys
from importlib import metadata

from lab.repository import ROOT, modules
from lab.setup_cfg import package_folders, setup_cfg

IMPORT = re.compile(r"^[ \t]*(?:import (\w+)|from (\w+)[\w.]* import )", re.MULTILINE)
"""Pattern of an absolute import. The formatter and the linter keep one library in a line."""
BROUGHT = {"pydantic_core": "pydantic"}
"""Libraries that come with a declared one, in exactly the version that it needs."""

NEEDED_BY = {"audioop-lts": "pydub"}
"""Libraries that a declared one imports without declaring them itself."""
TOOLS = {"audit", "dev", "docs", "fuzz", "release"}
"""Extras from which the product itself imports nothing."""
LOCKED_EXTRAS = ("console", "mariadb", "office", "openid", "postgresql", "sounds", "timestamps", "token")
"""Extras that the Debian packages contain."""


def test_every_folder_with_modules_is_a_package():
    folders = {str(path.parent.relative_to(ROOT)) for path in modules()}
    assert folders == set(package_folders().values())


def test_every_library_that_is_imported_is_declared():
    declared = {normalised(re.split(r"[ \[<>=!~]", line)[0]) for line in requirements()} - {"idtone"}
    owners = metadata.packages_distributions()
    used = {
        name: {normalised(owner) for owner in owners.get(BROUGHT.get(name, name), [name])}
        for name in imported()
        if name not in {*sys.stdlib_module_names, "idtone"}
    }
    undeclared = {name for name, owning in used.items() if not declared & owning}
    assert not undeclared
    assert set(NEEDED_BY.values()) <= declared
    assert declared - set(NEEDED_BY) <= set().union(*used.values()), "declared, and not used"


def test_the_lock_has_every_library_with_hashes_and_names_no_host():
    options = setup_cfg()
    lines = [
        options["options"]["install_requires"],
        *(options["options.extras_require"][each] for each in LOCKED_EXTRAS),
    ]
    needed = {re.split(r"[ \[<>=!~;]", line)[0].lower() for text in lines for line in text.strip().splitlines()}
    needed -= {"idtone"}
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    _, *blocks = re.split(r"^(?=[a-z])", lock, flags=re.MULTILINE)
    assert needed <= {block.partition("==")[0] for block in blocks}, "run make lock"
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in lock


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it, without regard to upper case, `_` and `.`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[str]:
    """The libraries that the product may import: those that it always needs, and those of its users' extras."""
    options = setup_cfg()
    extras = (lines for name, lines in options["options.extras_require"].items() if name not in TOOLS)
    return [line for lines in (options["options"]["install_requires"], *extras) for line in lines.strip().splitlines()]


def imported() -> set[str]:
    """The top-level names of all absolute imports anywhere in the product."""
    return {name for path in modules() for names in IMPORT.findall(path.read_text("utf-8")) for name in names} - {""}

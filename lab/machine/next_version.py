"""The same packages as a later version of the product, for tests of an upgrade and a downgrade."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import idtone

from .machine import Machine

_SITE: Final = "opt/venvs/idtone/lib/python3*/site-packages"


def make_next(machine: Machine, packages: Sequence[Path], version: str) -> list[Path]:
    """Create the packages of another version beside `packages`, and return their paths.

    All paths are in the machine. The conffile differs too.
    """
    return [_make_next(machine, package, version) for package in packages]


def _make_next(machine: Machine, package: Path, version: str) -> Path:
    into = package.with_name(package.name.replace(idtone.__version__, version, 1))
    tree = machine.run("mktemp", "--directory").strip()
    machine.run("dpkg-deb", "--raw-extract", package, tree)
    inside = machine.root / tree[1:]
    control = inside / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"{idtone.__version__}+deb", f"{version}+deb"))
    for source in inside.glob(f"{_SITE}/idtone/__init__.py"):
        source.write_text(source.read_text().replace(f'"{idtone.__version__}"', f'"{version}"'))
        compiled = ("-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", tree, "-p", "/")
        machine.run("python3", *compiled, f"/{source.relative_to(machine.root)}")
    for conffile in inside.glob("etc/idtone/idtone.yaml"):
        conffile.write_text(f"{conffile.read_text()}# of the next version\n")
    machine.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, into)
    machine.run("rm", "-r", tree)
    return into

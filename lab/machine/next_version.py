"""The same package as a later version of the product, for tests of an upgrade and of the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import idtone

from .machine import Machine

_SITE: Final = "opt/venvs/idtone/lib/python3*/site-packages"


def make_next(machine: Machine, package: Path, version: str, into: Path) -> None:
    """Make `into` of `package`; both are paths in the machine. Its conffile differs too."""
    tree = machine.run("mktemp", "--directory").strip()
    machine.run("dpkg-deb", "--raw-extract", package, tree)
    inside = machine.root / tree[1:]
    control = inside / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {idtone.__version__}", f"Version: {version}"))
    (site,) = inside.glob(_SITE)
    source = site / "idtone/__init__.py"
    source.write_text(source.read_text().replace(f'"{idtone.__version__}"', f'"{version}"'))
    conffile = inside / "etc/idtone/idtone.yaml"
    conffile.write_text(f"{conffile.read_text()}# of the next version\n")
    compiled = ("-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", tree, "-p", "/")
    machine.run("python3", *compiled, f"/{source.relative_to(machine.root)}")
    machine.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, into)

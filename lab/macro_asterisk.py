"""An Asterisk that still has Macro(), which FreePBX 16 needs: the present one, or Debian bullseye's, unpacked."""

import os

from . import unpacked_packages
from .asterisk_installation import AsteriskInstallation

MODULE = "app_macro.so"
PACKAGES = ("asterisk", "asterisk-modules")
SUITE = "bullseye"
"""Last Debian release whose Asterisk has the module."""


def with_macros(at_hand: AsteriskInstallation) -> AsteriskInstallation:
    """The Asterisk `at_hand` if it has Macro(), otherwise bullseye's Asterisk 16. Raises PackagesUnavailable."""
    if (at_hand.module_directory / MODULE).exists():
        return at_hand
    root = unpacked_packages.unpacked_tree(*PACKAGES, suites=(SUITE,))
    # The loader and some libraries are in /lib, a folder that later releases merge into /usr/lib.
    (loader,) = root.glob("lib/*/ld-linux*.so.*")
    machine = root / "usr/lib" / loader.parent.name
    folders = [loader.parent, machine, root / "usr/lib", *sorted({path.parent for path in machine.glob("*/lib*.so*")})]
    command = [str(loader), "--library-path", os.pathsep.join(map(str, folders)), str(root / "usr/sbin/asterisk")]
    origin = f"Debian {SUITE}, unpacked in {root}"
    return AsteriskInstallation(command, root / "usr/lib/asterisk/modules", root / "usr/share/asterisk", "16", origin)

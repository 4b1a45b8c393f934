"""Node.js for the lab: the machine's own from version 18 on, or Debian's, unpacked in the user's cache.

python -m lab.node_js     prints the command
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from .debian_archive import PackagesUnavailable, Progress
from .unpacked_packages import command, print_found, print_progress, unpacked_tree

OLDEST: Final = 18


def find_or_get_node(progress: Progress = print_progress, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The command that starts Node.js. Raises PackagesUnavailable."""
    installed = shutil.which("node", path=environment.get("PATH", os.defpath))
    if installed and _version([installed]) >= OLDEST:
        return [installed]
    if installed:
        progress(f"lab: passing over {installed}: it is older than version {OLDEST}")
    found = command(unpacked_tree("nodejs", progress=progress, environment=environment), "usr/bin/node")
    if _version(found) < OLDEST:
        raise PackagesUnavailable(f"{found[-1]} does not start, or is older than version {OLDEST}. Install nodejs")
    return found


def _version(node: Sequence[str]) -> int:
    """Major version of this Node.js, or 0 if it does not start."""
    try:
        told = subprocess.run([*node, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"v(\d+)\.", told)
    return int(found[1]) if found else 0


def main() -> int:
    """Find or fetch Node.js, and print its command."""
    return print_found(lambda: " ".join(find_or_get_node()))


if __name__ == "__main__":
    sys.exit(main())

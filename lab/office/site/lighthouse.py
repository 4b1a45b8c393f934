"""Lighthouse's scores of a page: performance, accessibility, best practices and search engines."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

from lab import npm
from lab.chromium import Chromium
from lab.node_js import find_or_get_node

LIGHTHOUSE: Final = "lighthouse@12.8.2"
LONGEST_S: Final = 300


def scores(address: str, chromium: Chromium) -> dict[str, float]:
    """Category → score from 0 to 1, measured at the speed of a slow smartphone.

    Raises PackagesUnavailable, or CalledProcessError if Lighthouse fails.
    """
    program = npm.installed(LIGHTHOUSE) / "node_modules" / "lighthouse" / "cli" / "index.js"
    flags = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage"
    with subprocess.Popen(
        [*find_or_get_node(), program, address, "--quiet", "--output=json", f"--chrome-flags={flags}"],
        env={**os.environ, **chromium.environment, "CHROME_PATH": str(chromium.program)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            output, errors = node.communicate(timeout=LONGEST_S)
        except BaseException:
            node.send_signal(signal.SIGINT)  # Lighthouse then ends its Chromium, which would survive a SIGKILL
            raise
    if node.returncode:
        raise subprocess.CalledProcessError(node.returncode, node.args, output, errors)
    return {name: each["score"] for name, each in json.loads(output)["categories"].items()}


def pages(site: Path) -> list[str]:
    """Paths of the pages for visitors, in both languages. Pages for print are left out."""
    found = (path.relative_to(site) for path in site.rglob("*.html") if "posters" not in path.parts)
    return sorted(path.as_posix() for path in found)

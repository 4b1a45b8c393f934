"""Packs `@idtone/detector` for npm, with minified scripts: `make detector`."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from lab import npm
from lab.phones.required_packages import NPM
from lab.repository import ROOT

SOURCES: Final = ROOT / "tones" / "detector"
SCRIPTS: Final = {
    "detector.js": ["--bundle"],
    "listen.js": ["--bundle", "--external:./detector.js"],
    "processor.js": [],
}
"""Script that a user loads → options for the program that minifies it."""


def build(folder: Path) -> Path:
    """Build the archive in `folder` and return its path. Raises PackagesUnavailable."""
    esbuild = npm.installed(f"esbuild@{NPM['esbuild']}") / "node_modules/.bin/esbuild"
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        for path in (ROOT / "LICENSE", SOURCES / "package.json", *SOURCES.glob("*.md"), *SOURCES.glob("*.d.ts")):
            shutil.copy(path, made)
        for script, options in SCRIPTS.items():
            command = [esbuild, script, "--minify", "--format=esm", "--target=es2022", *options]
            done = subprocess.run(command, cwd=SOURCES, stdin=subprocess.DEVNULL, capture_output=True, check=True)
            (made / script).write_bytes(done.stdout)
        folder.mkdir(parents=True, exist_ok=True)
        (packed,) = json.loads(npm.run(["pack", "--json", "--pack-destination", str(folder)], made))
    return folder / str(packed["filename"])


def main() -> int:
    """Build the package in `dist/` and print its path."""
    print(build(ROOT / "dist"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Builds `idtone-sign` as one file for the computers of key holders: `make signer`.

    python -m tools.signer_executable [PLATFORM [PYTHON]]     writes dist/idtone-sign.pyz

The file contains all libraries but not Python. PLATFORM is a tag of wheels, such as win_amd64, and PYTHON a version,
such as 3.12. With them, the file is dist/idtone-sign-PLATFORM-pyPYTHON.pyz. Each library has the digest in
requirements.lock.
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from idtone.office.signing import zipapp_start
from lab.repository import ROOT
from tools import dist

NEEDED: Final = (
    "aiohttp", "cryptography", "phonenumberslite", "pydantic", "python-pkcs11", "PyYAML", "rfc8785", "securesystemslib",
    "tuf", "typer", "zxcvbn",
)  # fmt: skip
"""Libraries that the signing page imports. They need other libraries."""
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def lock_entries() -> dict[str, str]:
    """Name of each entry of requirements.lock → the entry."""
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / "requirements.lock").read_text("utf-8"), flags=re.MULTILINE)
    return {block.partition("==")[0]: block for block in blocks if "==" in block.partition("\n")[0]}


def needed_libraries(entries: dict[str, str]) -> set[str]:
    """Names of all libraries that the signing page needs on any operating system."""
    found: set[str] = set()
    waiting = list(NEEDED)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in found and name in entries:
            found.add(name)
            waiting += _brought(name)
    return found


def _brought(name: str) -> Iterator[str]:
    try:
        wanted = requires(name) or ()
    except ImportError:  # a library for another operating system
        return
    for line in wanted:
        if "extra ==" not in line and (match := _NAME.match(line)):
            yield match[0]


def build(into: Path, platform: str = "", python: str = "") -> Path:
    """Build the archive and return its path. Raises CalledProcessError if a library has no wheel for the platform."""
    version = tuple(map(int, python.split("."))) if python else sys.version_info[:2]
    entries = lock_entries()
    name = f"idtone-sign-{platform}-py{'.'.join(map(str, version))}.pyz" if platform else "idtone-sign.pyz"
    with tempfile.TemporaryDirectory() as scratch:
        libraries, wanted = Path(scratch, "libraries"), Path(scratch, "wanted.txt")
        wanted.write_text("".join(entries[each] for each in sorted(needed_libraries(entries))))
        target = ["--platform", platform, "--python-version", ".".join(map(str, version))] if platform else []
        install = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        options = ["--target", libraries, "--no-compile", "--only-binary=:all:", *target]
        subprocess.run([*install, *options, "--require-hashes", "-r", wanted], check=True)
        wheel = next(each for each in dist.build(Path(scratch, "dist")) if each.suffix == ".whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(libraries)
        into.mkdir(parents=True, exist_ok=True)
        _write(into / name, libraries, list(version))
    return into / name


def _write(path: Path, libraries: Path, version: list[int]) -> None:
    """Write the archive. The same libraries result in the same bytes."""
    start = Path(zipapp_start.__file__).read_bytes()
    with path.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as archive:
            _add(archive, "__main__.py", start)
            _add(archive, zipapp_start.BUILT_FOR, json.dumps({"python": version}).encode())
            for each in sorted(libraries.rglob("*")):
                inside = each.relative_to(libraries)
                if each.is_file() and inside.parts[0] != "bin":
                    _add(archive, f"{zipapp_start.LIBRARIES}/{inside.as_posix()}", each.read_bytes())
    path.chmod(0o755)


def _add(archive: zipfile.ZipFile, name: str, octets: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _DATE), octets, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    print(build(ROOT / "dist", *sys.argv[1:]))

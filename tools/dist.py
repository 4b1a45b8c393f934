"""Builds the source archive and the wheel: `make dist`. The same commit results in the same bytes.

`python -m tools.dist [FOLDER]` writes them to FOLDER, which is dist by default.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from lab.repository import ROOT, files, links


def commit_time() -> int:
    """Time of the commit in seconds since 1970. All files in a package get this time."""
    return int(_git("log", "-1", "--format=%ct"))


def build(into: Path) -> list[Path]:
    """Build the source archive and the wheel, and return both paths in sorted order.

    The source archive is built from the repository's files, and the wheel from that archive. Removes older archives of
    idtone from `into`.
    """
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob("idtone-*"):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        source = copy_source(Path(scratch, "source"))
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", into, source],
            env=os.environ | {"SOURCE_DATE_EPOCH": str(commit_time())},
            umask=0o022,
            check=True,
            stdout=sys.stderr,
        )
    built = sorted(into.glob("idtone-*"))
    for archive in built:
        if archive.name.endswith(".tar.gz"):
            normalise(archive, commit_time())
    return built


def copy_source(into: Path) -> Path:
    """Copy the repository's files to `into` and return `into`.

    The modes of the copies do not depend on the umask of the checkout.
    """
    for path in files():
        copied = into / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
        copied.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    for link in links():
        (into / link.relative_to(ROOT)).symlink_to(link.readlink())
    return into


def normalise(archive: Path, time_s: int) -> None:
    """Rewrite a .tar.gz so that all its files have this time. setuptools obeys SOURCE_DATE_EPOCH only in wheels."""
    content = archive.with_name(f"{archive.name}.new")
    with (
        tarfile.open(archive) as old,
        content.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=time_s) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old, key=lambda each: each.name):
            member.mtime, member.pax_headers = time_s, {}
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    content.replace(archive)


def _git(*arguments: str) -> str:
    return subprocess.check_output(["git", "-c", "safe.directory=*", *arguments], cwd=ROOT, text=True)


if __name__ == "__main__":
    for made in build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")):
        print(made)

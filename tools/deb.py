"""Builds the Debian packages, four for each release, in a fresh Debian of that release: `make deb`.

`python -m tools.deb [RELEASE …]` writes dist/*.deb. The default is the release of this machine.
"""

import platform
import shutil
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

import idtone
from lab.machine.machine import CERTIFICATES, RELEASES, Machine, image

from . import dist

BUILD_NEEDS: Final = ("build-essential", "debhelper", "python3-venv", "lintian")
LINTIAN: Final = (
    "lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", "--info",
    # This check takes a quarter of the time, for a tag that is neither an error nor a warning: the spelling in the
    # wheels' binaries.
    "--dont-check-part", "binaries/spelling",
)  # fmt: skip


def build(release: str, into: Path, version: str = idtone.__version__) -> list[Path]:
    """Build the packages of one release and check them with lintian.

    Returns their paths in `into`, with the node package first.
    """
    print(f"packages: building for {release} …", file=sys.stderr, flush=True)
    into.mkdir(parents=True, exist_ok=True)
    with Machine(image(release, *BUILD_NEEDS)) as machine:
        source = dist.copy_source(machine.root / "build" / "idtone")
        dist.build(source / "dist")
        release_number = machine.run("sh", "-c", ". /etc/os-release && echo $VERSION_ID").strip()
        (source / "debian" / "changelog").write_text(changelog(f"{version}+deb{release_number}"))
        machine.run("sh", "-c", "cd /build/idtone && dpkg-buildpackage --build=binary --no-sign", PIP_CERT=CERTIFICATES)
        made = sorted((machine.root / "build").glob("*.deb"), key=lambda each: each.name.partition("_"))
        print(machine.run(*LINTIAN, *(f"/build/{each.name}" for each in made)), end="", file=sys.stderr)
        return [Path(shutil.copy(each, into)) for each in made]


def changelog(version: str) -> str:
    """Text of debian/changelog, which gives the packages their version and time."""
    at = format_datetime(datetime.fromtimestamp(dist.commit_time(), UTC))
    return (
        f"idtone ({version}) stable; urgency=medium\n\n  * /usr/share/doc/idtone/changelog.gz says what is new.\n\n"
        f" -- The idtone maintainers <maintainers@idtone.invalid>  {at}\n"
    )


def release_of_machine() -> str:
    """Name of this machine's Debian release. Ends the program if there are no packages for it."""
    name = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if name not in RELEASES:
        sys.exit(f"packages: no packages for what runs here; name one: RELEASES='{' '.join(RELEASES)}'")
    return name


if __name__ == "__main__":
    for each in sys.argv[1:] or [release_of_machine()]:
        print(*build(each, Path("dist")), sep="\n")

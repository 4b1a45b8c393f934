"""Fetches Debian packages as any user and unpacks them into a folder without installing them.

apt runs here with its own state, cache and sources, because the machine's apt may be out of date and must not change.
The mirrors, proxies and certificates are the machine's. This module uses only the standard library, because it runs
before anything is set up.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

Progress = Callable[[str], None]
"""Callback that receives one line about the next action."""

_UNDER: Final = {"experimental": "sid"}
"""Release with only some packages → release with their dependencies."""
_KEYRINGS: Final = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{ending}") for ending in ("pgp", "gpg"))


class PackagesUnavailable(Exception):
    """The packages are not available here. The text gives the reason."""


def fetch(packages: Sequence[str], into: Path, suites: Sequence[str] = (), without: Sequence[str] = ()) -> str:
    """Unpack `packages` and their dependencies into the folder `into`, and return the suite that they came from.

    Leaves out packages whose names match a pattern in `without`. If `suites` is empty, uses the machine's own sources
    and fetches no dependencies, so the machine must have them. Creates `into` and, temporarily, a folder beside it.
    Raises PackagesUnavailable.
    """
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise PackagesUnavailable(f"there is no {tool} on this machine")
    scratch = into.with_name(f"{into.name}.apt")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        if suites:
            origin, archives = _fetch_closure(packages, scratch, suites, without)
        else:
            origin, archives = "its own sources", _fetch_alone(packages, scratch)
        into.mkdir(parents=True, exist_ok=True)
        for archive in archives:
            _run(["dpkg-deb", "--extract", str(archive), str(into)])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return origin


def architecture() -> str:
    """Debian's name for this machine's architecture: `amd64`, `arm64`, …"""
    return _run(["dpkg", "--print-architecture"]).strip()


def mirrors() -> list[str]:
    """Addresses of Debian archives in the machine's apt sources, most likely first.

    Also works before the first `apt-get update`, because it needs only the list of sources, not their content.
    """
    listing = _run(["apt-get", "indextargets", "--no-release-info", "--format", "$(SITE) $(RELEASE) $(COMPONENT)"])
    own, others = [], []
    for site, release, component in (line.split() for line in listing.splitlines() if line.count(" ") == 2):
        if component != "main" or release.endswith("-security") or site.startswith(("file:", "cdrom:")):
            continue
        (own if release.startswith((_codename(), "stable", "testing", "unstable", "sid")) else others).append(site)
    return list(dict.fromkeys(own + others))


def _codename() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME=")]
    return names[0] if names else "stable"


def _fetch_closure(
    packages: Sequence[str], scratch: Path, suites: Sequence[str], without: Sequence[str]
) -> tuple[str, list[Path]]:
    sites = mirrors()
    if not sites:
        raise PackagesUnavailable("the apt sources of this machine name no Debian mirror")
    refusals = []
    for suite in suites:
        for site in sites:
            releases = [suite, *filter(None, [_UNDER.get(suite)])]
            lines = (f"deb [{_source_options()}] {site} {release} main\n" for release in releases)
            apt = _private_apt(scratch, "".join(lines))
            if suite in _UNDER:  # apt takes packages from such a release only if a preference allows it
                names = " ".join(f"{package} {package}-*" for package in packages)
                preference = f"Package: {names}\nPin: release a={suite}\nPin-Priority: 990\n"
                (scratch / "preferences").write_text(preference)
            try:
                _run([*apt, "update"])
                # With an empty list of installed packages, "install" includes all dependencies.
                planned = _run([*apt, "--simulate", "install", *packages])
                needed = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
                wanted = [name for name in needed if not any(fnmatchcase(name, pattern) for pattern in without)]
                _run([*apt, "download", *wanted], cwd=scratch)
            except PackagesUnavailable as error:
                refusals.append(f"{suite}: {error}")
                shutil.rmtree(scratch)
            else:
                return suite, sorted(scratch.glob("*.deb"))
    raise PackagesUnavailable("\n".join(refusals))


def _fetch_alone(packages: Sequence[str], scratch: Path) -> list[Path]:
    apt = _private_apt(scratch, None)
    _run([*apt, "update"])
    _run([*apt, "download", *packages], cwd=scratch)
    return sorted(scratch.glob("*.deb"))


def _private_apt(scratch: Path, sources: str | None) -> list[str]:
    """The command of an apt that keeps all its data in `scratch`. `sources` is None for the machine's sources."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    (scratch / "status").touch()
    options = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
        "Acquire::Check-Valid-Until": "false",  # a week-old mirror is good enough
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",  # apt's own user cannot enter the scratch folder
    }
    if sources is not None:
        (scratch / "sources.list").write_text(sources)
        (scratch / "preferences").touch()
        options |= {
            "APT::Update::Error-Mode": "any",  # otherwise an unreachable mirror looks like an unknown package
            "Dir::Etc::SourceList": scratch / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": scratch / "preferences",
            "Dir::Etc::PreferencesParts": "/dev/null",
        }
    return ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]


def _source_options() -> str:
    keyring = next((f" signed-by={path}" for path in _KEYRINGS if path.exists()), "")
    return f"arch={architecture()}{keyring}"


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    """Standard output of `command`. Raises PackagesUnavailable with its error messages if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
        words = next((word for word in command[1:] if not word.startswith("-")), "")
        raise PackagesUnavailable(f"{command[0]} {words}: {' '.join(said) or f'exit code {done.returncode}'}")
    return done.stdout

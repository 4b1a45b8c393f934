"""The conditions of a test: properties of operators' machines that a laboratory tends to lack.

`SITE=name` in the environment selects one of `SITES` for all tests. `SITE='time_zone=America/St_Johns,idle_channels=0'`
changes the default.
"""

from __future__ import annotations

import contextlib
import functools
import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from . import slow_disk
from .asterisk_installation import OVERRIDE, AsteriskInstallation, find_or_get
from .become_user import Identity
from .unpacked_packages import cache_directory, print_progress

ROOT: Final = Path(__file__).parents[1]
CHOICE: Final = "SITE"
_SPARE_ID: Final = 23_001
"""First id of users that the machine does not have, from a range that no distribution assigns."""


@dataclass(frozen=True, slots=True)
class Site:
    """Conditions of one machine. The defaults describe a Japanese operator's machine."""

    time_zone: str = "Asia/Tokyo"
    """TZ of Asterisk and the service: a name, a POSIX rule, `FORWARD` or `BACK`."""
    locale: str = "ja_JP.UTF-8"
    """LANG of Asterisk and the service. The service's texts stay English because of its unit file."""
    users: str = "own"
    """`own` for the users of the package, or `root`.

    With `own`, Asterisk runs as `asterisk`, and the service as `idtone` in the group of `asterisk`.
    """
    umask: int = 0o027
    host_name: str = ""
    """Host name, or an empty string for the machine's own."""
    registry: str = "signed"
    """Kind of the lab's registry: `signed`, or `unsigned` for a plain file. A test's own registry is not changed."""
    idle_channels: int = 300
    """Number of channels that wait on the PBX in addition to the test's calls."""
    asterisk: str = ""
    """Path of asterisk, or an empty string for the machine's own or the fetched one."""
    host: str = "127.0.0.1"
    """Address of the phones and of Asterisk's SIP and RTP: an IPv4 address or `::1`."""
    transport: str = "udp"
    """SIP transport between the phones and Asterisk: `udp`, `tcp` or `tls`."""
    srtp: bool = False
    """True if RTP between the phones and Asterisk is encrypted (SDES)."""
    trusted: bool = False
    """True if the trunk trusts the caller identity that its peer sends (`trust_id_inbound`)."""
    loss: int = 0
    """Percentage of RTP packets that are lost in each direction."""
    disk_ms: int = 0
    """Additional time in ms for each write to the journal."""

    # -- users --------------------------------------------------------------------------------------------------

    @property
    def own_users(self) -> bool:
        return self.users == "own" and not _why_no_users()

    def begun(self, change_s: float = 60) -> Site:
        """The site with a time zone that programs can use.

        For `FORWARD` or `BACK`, this is a zone whose clock changes in `change_s` seconds.
        """
        if self.time_zone not in (FORWARD, BACK):
            return self
        return replace(self, time_zone=changing_time_zone(time.time() + change_s, self.time_zone == FORWARD))

    def left_out(self) -> list[str]:
        """Conditions that this machine cannot provide, each with the reason."""
        missing = []
        if self.users == "own" and (why := _why_no_users()):
            missing.append(f"own users: {why}")
        if self.host_name and not self.own_users:
            missing.append("host name: it is given together with own users")
        if self.disk_ms and not slow_disk.slow_disk_library(_cache()):
            missing.append("slow disk: there is no C compiler")
        if self.srtp and self.installation().without(["res_srtp"]):
            missing.append("SRTP: this Asterisk was built without libsrtp")
        if not _has_locale(self.locale):
            missing.append(f"locale: neither the machine nor localedef has {self.locale}; only LANG says it")
        return missing

    def __str__(self) -> str:
        words = [self.time_zone, self.locale, f"users: {self.users}", f"umask {self.umask:03o}"]
        words += [f"{self.registry} registry", f"{self.idle_channels} idle channels"]
        words += [f"{each.name} {getattr(self, each.name)}" for each in fields(self)[7:] if _differs(self, each.name)]
        return ", ".join(words)

    def identity(self, who: str, *visible: Path) -> Identity | None:
        """Identity of the user `asterisk` or `idtone`, or None if programs run as the user of this process."""
        if not self.own_users:
            return None
        needed = (ROOT, Path(sys.base_prefix), Path(sys.prefix), _cache(), *map(_reached, visible))
        return Identity(_uid(who), asterisk_gid(), self.umask, self.host_name, tuple(str(each) for each in needed))

    def command(self, who: str, command: list[str], *visible: Path) -> list[str]:
        """The command that runs `command` as the user `who`, who can then reach the folders `visible`."""
        identity = self.identity(who, *visible)
        return identity.command(command) if identity else command

    def give(self, folder: Path, who: str, mode: int) -> None:
        """Create `folder` in Asterisk's group, and give it and all files in it to the user `who`.

        Files that already belong to this user are not touched, because a sound file would otherwise seem to have
        changed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.own_users:
            owner = _uid(who), asterisk_gid()
            for each in (folder, *folder.rglob("*")):
                held = each.lstat()
                if (held.st_uid, held.st_gid) != owner:
                    os.chown(each, *owner, follow_symlinks=False)
            folder.chmod(mode)

    def own(self, file: Path, who: str) -> None:
        """Give the file to the user `who`, in Asterisk's group."""
        if self.own_users:
            os.chown(file, _uid(who), asterisk_gid())

    def share(self, folder: Path) -> None:
        """Let only Asterisk's group read the files that root wrote into `folder`, as in /etc/asterisk."""
        if self.own_users:
            for each in (folder, *folder.rglob("*")):
                os.chown(each, 0, asterisk_gid())
                each.chmod(0o2750 if each.is_dir() else 0o640)

    # -- environment --------------------------------------------------------------------------------------------

    def environment(self, home: Path) -> dict[str, str]:
        """Environment of a program of the site: this process's, with the site's time zone and locale."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("LC_") and name != "LANG"}
        compiled = {"LOCPATH": str(_locales())} if _compiled(self.locale) else {}
        if self.disk_ms and (slow := slow_disk.slow_disk_library(_cache())):
            compiled |= {"LD_PRELOAD": str(slow), slow_disk.DELAY: str(self.disk_ms)}
        return ours | compiled | {"TZ": self.time_zone, "LANG": self.locale, "HOME": str(home)}

    def installation(self) -> AsteriskInstallation:
        """The Asterisk of the site. Raises AsteriskMissing."""
        return find_or_get(environment=os.environ | ({OVERRIDE: self.asterisk} if self.asterisk else {}))


FORWARD: Final = "forward"
BACK: Final = "back"


def changing_time_zone(at_s: float, forward: bool) -> str:
    """A time zone (POSIX rule) whose clock changes by an hour at the time `at_s`.

    The change is from UTC+3 to UTC+4 if `forward`, and otherwise back. The other change is half a year away.
    """
    local = time.gmtime(at_s + (3 if forward else 4) * 3600)
    day = local.tm_yday - 1
    now, other = f"{day}/{time.strftime('%H:%M:%S', local)}", f"{(day + 182) % 365}/0"
    first, second = (now, other) if forward else (other, now)
    return f"XST-3XDT-4,{first},{second}"


def _differs(site: Site, name: str) -> bool:
    return bool(getattr(site, name) != getattr(JAPAN, name))


JAPAN: Final = Site()
BARE: Final = Site("UTC", "C.UTF-8", "root", 0o022, registry="unsigned", idle_channels=0)
"""Site of a freshly unpacked Asterisk, also for the benches, whose figures then measure only the calls."""


def chosen_site(environment: Mapping[str, str] = os.environ) -> Site:
    """The site that the environment selects. Raises ValueError with the possible names."""
    from .named_sites import SITES  # imported here because it imports this module

    text = environment.get(CHOICE, "")
    if not text:
        return JAPAN
    if "=" not in text:
        if text not in SITES:
            raise ValueError(f"{CHOICE}={text}: there is no such site; there are {', '.join(SITES)}")
        return SITES[text].begun()
    kinds = {each.name: type(getattr(JAPAN, each.name)) for each in fields(Site)}
    changed: dict[str, object] = {}
    for part in _parts(text):
        name, _, value = part.partition("=")
        if name not in kinds:
            raise ValueError(f"{CHOICE}={text}: a site has no {name}; it has {', '.join(kinds)}")
        if kinds[name] is bool:
            changed[name] = value in ("1", "yes", "true")
        elif kinds[name] is int:
            changed[name] = int(value, 8 if name == "umask" else 10)
        else:
            changed[name] = value
    return replace(JAPAN, **changed).begun()  # type: ignore[arg-type]


def _parts(text: str) -> list[str]:
    """The parts between the commas. The rule of a time zone has commas but no `=`, and is kept whole."""
    parts: list[str] = []
    for part in text.split(","):
        if "=" in part or not parts:
            parts.append(part)
        else:
            parts[-1] += f",{part}"
    return parts


# -- the machine ------------------------------------------------------------------------------------------------------


def make_reachable(folder: Path) -> None:
    """Open the temporary folders above `folder`, which pytest closes, to other users.

    pytest's topmost folder stays closed, because the next run closes it again. `become_user` works around it.
    """
    for each in (folder, *folder.parents):
        if (
            each.name.startswith("pytest-of-")
            or each in _TEMPORARY
            or not any(each.is_relative_to(temporary) for temporary in _TEMPORARY)
        ):
            break
        each.chmod(stat.S_IMODE(each.stat().st_mode) | 0o055)


def _reached(folder: Path) -> Path:
    """The folder of everything that this run of pytest creates, if `folder` is in it, and otherwise `folder`."""
    below = [each for each in (folder, *folder.parents) if each.parent.name.startswith("pytest-of-")]
    return below[0] if below else folder


_TEMPORARY: Final = (Path(tempfile.gettempdir()), ROOT / "build")


@functools.cache
def _cache() -> Path:
    return cache_directory(os.environ, print_progress)


def _uid(who: str) -> int:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(who).pw_uid
    return _SPARE_ID + (who != "asterisk")


def asterisk_gid() -> int:
    with contextlib.suppress(KeyError):
        return grp.getgrnam("asterisk").gr_gid
    return _SPARE_ID


@functools.cache
def _why_no_users() -> str:
    """Reason why programs cannot run as other users here, or an empty string if they can."""
    if os.geteuid() != 0:
        return "only root can start them"
    with tempfile.TemporaryDirectory() as closed:  # closed, like pytest's folders
        inside = Path(closed, "inside")
        inside.mkdir()
        needed = (ROOT, Path(sys.base_prefix), Path(sys.prefix), _cache(), inside)
        identity = Identity(_uid("idtone"), asterisk_gid(), 0o027, visible=tuple(map(str, needed)))
        tried = subprocess.run(
            identity.command([sys.executable, "-c", "import idtone"]),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
    return tried.stderr.strip().splitlines()[-1] if tried.returncode else ""


# -- locales ----------------------------------------------------------------------------------------------------------


def _locales() -> Path:
    return _cache() / "locales"


@functools.cache
def _has_locale(name: str) -> bool:
    return _installed(name) or _compiled(name)


@functools.cache
def _installed(name: str) -> bool:
    plain = name.replace("-", "").casefold()
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout
    return plain in {line.replace("-", "").casefold() for line in listed.splitlines()}


@functools.cache
def _compiled(name: str) -> bool:
    """True if localedef has compiled the locale into the folder of `_locales`. False if it is installed."""
    if _installed(name):
        return False
    folder = _locales() / name
    if not folder.exists() and shutil.which("localedef"):
        making = folder.with_name(f"{name}.{os.getpid()}")
        making.parent.mkdir(parents=True, exist_ok=True)
        language, _, charset = name.partition(".")
        made = subprocess.run(
            ["localedef", "--no-archive", "-i", language, "-f", charset, making], capture_output=True, check=False
        )
        if made.returncode == 0:
            with contextlib.suppress(OSError):  # another process was faster
                making.rename(folder)
        shutil.rmtree(making, ignore_errors=True)
    return folder.exists()

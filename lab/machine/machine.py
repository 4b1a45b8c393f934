"""A separate Debian with a real systemd, in which packages are built and installed.

It has its own processes, files, cgroups and name, but uses this machine's network. It needs root. It ends with the
Python process that started it, and leaves no process and no mount behind. Two machines at a time must use different
ports.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from lab import debian_archive
from lab.unpacked_packages import cache_directory

RELEASES: Final = ("bookworm", "trixie")
"""Debian 12 and 13. Each has its own package, because each has another version of Python."""
CHOSEN = tuple(os.environ.get("RELEASES", "").split()) or RELEASES
_ENDS_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
_WITHOUT_CLOCK: Final = ("setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-sys_time")
BOOT_WITHIN_S: Final = 300
END_WITHIN_S: Final = 10
COMMAND_S: Final = 1200.0
"""Maximum time of a command in seconds. The longest ones build a package, or download Debian."""
UP: Final = ("running", "degraded")
"""States of a started machine.

The state `degraded` means that a unit has failed that a machine of this kind cannot run, for example one that loads a
kernel module.
"""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
_IN_CGROUP: Final = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'
_BOOT: Final = """
set -eu
image=$1 root=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs "$root"
tar --extract --xattrs --file "$image" --directory "$root"
for file in etc/resolv.conf etc/ssl/certs/ca-certificates.crt; do
    if [ -e "/$file" ]; then mkdir -p "$root/${file%/*}"; rm -f "$root/$file"; cp "/$file" "$root/$file"; fi
done
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
for lent in "$@"; do mkdir -p "./$lent"; mount --bind "$lent" "./$lent"; done
mkdir run/before
pivot_root . run/before
umount -l /run/before
exec env -i container=idtone-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set -sys_time /sbin/init
"""
"""Script that boots the machine.

The machine uses this machine's clock, so it must not set it: the first `timedatectl set-timezone` after the start of a
kernel moves the kernel's clock by the zone. Its files are in memory. It reaches Debian and PyPI through this machine's
name servers and certificates.
"""


class MachineFailed(Exception):
    """A machine did not start, or a command in it failed. The message contains the output."""


class Machine:
    """One Debian, from an image. It sees the folders `lent` of this machine at the same paths."""

    def __init__(self, image: Path, *lent: Path) -> None:
        if os.geteuid():
            raise MachineFailed("a Debian with its own systemd needs root: run this as root")
        self._image = image
        self._lent = lent
        self._started: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Machine:
        with ExitStack() as undo:
            scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="idtone-machine-")))
            (scratch / "root").mkdir()
            cgroup = undo.enter_context(_cgroup(scratch.name))
            console = undo.enter_context((scratch / "console").open("w+", errors="replace"))
            self._started = subprocess.Popen(
                [*_ENDS_WITH_US, "sh", "-c", _IN_CGROUP, "sh", cgroup,
                 "unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child",
                 "--propagation", "private", "sh", "-c", _BOOT, "sh", self._image, scratch / "root", *self._lent],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
            undo.callback(self._end)
            deadline_s = time.monotonic() + BOOT_WITHIN_S
            while not self._is_up():
                if self._started.poll() is not None or time.monotonic() > deadline_s:
                    console.seek(0)
                    raise MachineFailed(f"{self._image} does not start:\n{console.read()}")
                time.sleep(0.1)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undo.close()

    def _end(self) -> None:
        assert self._started
        self._started.kill()  # this also kills its systemd, and so all processes of the machine
        self._started.wait()

    @property
    def root(self) -> Path:
        """Folder of its files on this machine."""
        return Path(f"/proc/{self.leader}/root")

    def _is_up(self) -> bool:
        """True if systemd has started everything."""
        return bool(self.leader) and self._run("systemctl", "is-system-running").stdout.strip() in UP

    @property
    def leader(self) -> int:
        """Process id of its systemd on this machine, or 0 if systemd does not run."""
        assert self._started
        children = Path(f"/proc/{self._started.pid}/task/{self._started.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def inside(self, *namespaces: str) -> list[str]:
        """Prefix of a command that runs in the machine, or only in the given namespaces of the machine."""
        entered = [f"--{name}" for name in namespaces or ("mount", "pid", "ipc", "uts", "cgroup")]
        return [*_WITHOUT_CLOCK, "nsenter", "--target", str(self.leader), *entered, "--root", "--wd"]

    def run(self, *command: str | Path, **environment: str) -> str:
        """Run a command as root and return its output. Raises MachineFailed if it fails."""
        done = self._run(*command, **environment)
        if done.returncode:
            raise MachineFailed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    @contextmanager
    def shell(self, **environment: str) -> Iterator[Shell]:
        """Context with a shell in the machine, for several lines."""
        started = subprocess.Popen(
            [*self.inside(), "bash"],
            env=_environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Shell(started)
        finally:
            _end_all(started)

    def status(self, *command: str | Path) -> int:
        """Run a command and return its exit code."""
        return self._run(*command).returncode

    def _run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        started = subprocess.Popen(
            [*self.inside(), *command],
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = started.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired as error:
            _end_all(started)
            raise MachineFailed(f"{' '.join(map(str, command))}: no end within {COMMAND_S:.0f} s") from error
        return subprocess.CompletedProcess(command, started.returncode, said)

    def install(self, *packages: str | Path) -> str:
        """Install packages and their dependencies, by name or from a file."""
        return self.run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages)


class Shell:
    """A shell that receives typed lines. Variables and the current folder are kept from line to line."""

    def __init__(self, started: subprocess.Popen[bytes]) -> None:
        self._started = started

    def type(self, line: str, within_s: float) -> tuple[int, str]:
        """Type a line, and return its exit code and its output.

        Raises MachineFailed if the shell ends or the line does not end within the time.
        """
        end = f"end of {secrets.token_hex(8)}"
        assert self._started.stdin
        assert self._started.stdout
        self._started.stdin.write(f"{line}\nprintf '\\n%s %d\\n' '{end}' $?\n".encode())
        self._started.stdin.flush()
        said, deadline_s = b"", time.monotonic() + within_s
        while not (found := re.search(rf"\n{end} (\d+)\n".encode(), said)):
            ready, _, _ = select.select([self._started.stdout], [], [], max(0, deadline_s - time.monotonic()))
            more = os.read(self._started.stdout.fileno(), 2**16) if ready else b""
            if not more:
                why = "the shell has ended" if ready else f"no end within {within_s:.0f} s"
                raise MachineFailed(f"{line}: {why}\n{said.decode(errors='replace')}")
            said += more
        return int(found[1]), said[: found.start()].decode(errors="replace")


@contextmanager
def _cgroup(name: str) -> Iterator[Path]:
    """Context with a cgroup for one machine. Two machines in one cgroup would remove each other's units."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    cgroup = next(Path(at) for _, at, kind, *_ in mounts if kind == "cgroup2") / name
    cgroup.mkdir()
    try:
        yield cgroup
    finally:
        deadline_s = time.monotonic() + END_WITHIN_S
        while "populated 1" in (cgroup / "cgroup.events").read_text() and time.monotonic() < deadline_s:
            time.sleep(0.05)  # its last processes are dying
        for each in (*sorted(cgroup.rglob("*/"), reverse=True), cgroup):
            each.rmdir()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {"PATH": _PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **kept, **environment}


def _end_all(started: subprocess.Popen[Any]) -> None:
    """End a command in the machine, and everything that it started in its session."""
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    with started:  # waits for the process and closes its pipes
        pass


def image(release: str, *packages: str) -> Path:
    """A tar archive of a fresh Debian with `packages` and systemd. It is created once and kept in the user's cache."""
    base = image(release) if packages else None
    cache = cache_directory(os.environ, _tell)
    kept = cache / f"machine-{'-'.join((release, *packages))}-{debian_archive.architecture()}.tar"
    with (cache / "machines.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            return kept
        making = kept.with_suffix(".making")
        if base:
            _extend(base, packages, making)
        else:
            _bootstrap(release, making)
        making.rename(kept)
    return kept


def _bootstrap(release: str, into: Path) -> None:
    _tell(f"packages: making a fresh Debian {release}, about 100 MB to download …")
    with tempfile.TemporaryDirectory(prefix="idtone-machine-") as scratch:
        program = shutil.which("mmdebstrap")
        if program is None:
            debian_archive.fetch(["mmdebstrap"], Path(scratch, "mmdebstrap"))
            program = str(Path(scratch, "mmdebstrap/usr/bin/mmdebstrap"))
        subprocess.run(
            [program, "--quiet", "--format=tar", "--variant=minbase", "--skip=cleanup/apt/lists",
             "--include=systemd,systemd-sysv,dbus,adduser,man-db", release, into, debian_archive.mirrors()[0]],
            check=True,
        )  # fmt: skip


def _extend(base: Path, packages: Sequence[str], into: Path) -> None:
    _tell(f"packages: installing {' '.join(packages)} …")
    with Machine(base) as machine, into.open("wb") as archive:
        machine.install(*packages)
        machine.run("apt-get", "clean")
        # A second mount of the files shows none of the mounts above them.
        archived = "mount --bind / /mnt && exec tar --create --xattrs --exclude ./var/log/journal --directory /mnt ."
        subprocess.run([*machine.inside(), "sh", "-c", archived], stdout=archive, check=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

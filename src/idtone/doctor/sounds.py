"""The files beside the sounds, and who may read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from .findings import Finding, bad, good, unknown

_RESTART: Final = "systemctl restart idtone, which makes them anew"


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a process runs."""

    user: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class Rights:
    """Mode and owners of one file or folder. `listed` means that an access control list may say otherwise."""

    path: Path
    mode: int
    user: int
    group: int
    listed: bool = False

    def allow(self, who: Identity, right: int) -> bool:
        """`right` is 4 to read, 2 to write, 1 to pass through a folder; root may always."""
        shift = 6 if who.user == self.user else 3 if self.group in who.groups else 0
        return who.user == 0 or bool(self.mode >> shift & right)


def files(wanted: Mapping[Path, bytes], there: Mapping[Path, bytes | None], serving: bool) -> Finding:
    """`wanted` is what each file holds by its profile, `there` what it holds; None where there is no such file."""
    missing = sorted(path for path in wanted if there[path] is None)
    other = sorted(path for path in wanted if there[path] not in (None, wanted[path]))
    if not missing and not other:
        return good("sounds", f"{len(wanted)} files, each as its profile says")
    parts = []
    if missing:
        parts.append(f"missing: {', '.join(map(str, missing))}")
    if other:
        parts.append(f"not as the profile says: {', '.join(map(str, other))}")
    return bad("sounds", "; ".join(parts), _RESTART if serving else "systemctl start idtone, which makes them")


def readable(who: Identity | None, folders: Sequence[Rights], held: Sequence[Rights]) -> Finding:
    """`who` is Asterisk, None where its process was not found. `folders` lead to the files `held`."""
    topic = "sounds-readable"
    place = held[0].path.parent if held else folders[-1].path if folders else Path()
    if who is None:
        return unknown(
            topic, "Asterisk's process was not found", f"As Asterisk's user: head -c 1 {quote(str(place))}/* >/dev/null"
        )
    closed = [f for f in folders if not f.allow(who, 1)] + [f for f in held if not f.allow(who, 4)]
    if not closed:
        return good(topic, f"Asterisk (user {who.user}) may read all {len(held)} files")
    names = ", ".join(str(rights.path) for rights in closed)
    if any(rights.listed for rights in closed):
        return unknown(
            topic,
            f"access control lists decide on {names}",
            f"As Asterisk's user: head -c 1 {quote(str(place))}/* >/dev/null",
        )
    return bad(
        topic,
        f"Asterisk (user {who.user}) may not read {names}",
        f"Let the group of Asterisk in: chgrp -R asterisk {quote(str(place))} && chmod -R g+rX {quote(str(place))}",
    )


def writable(who: Identity | None, folders: Sequence[Rights], path: Path, held: Rights | None, left: int) -> Finding:
    """`who` is Asterisk; `held` is the file that it is to write to the end of, None where there is none. `left` is how
    many files the service has taken from there and not entered.
    """
    topic, restart = "unattended", "systemctl restart idtone, which makes it"
    if held is None:
        return bad(topic, f"{path} is missing", restart)
    if who is None:
        return unknown(topic, "Asterisk's process was not found", f"As Asterisk's user: test -w {quote(str(path))}")
    closed = [f for f in folders if not f.allow(who, 1)] + [held] * (not held.allow(who, 2))
    names = ", ".join(str(rights.path) for rights in closed)
    if any(rights.listed for rights in closed):
        return unknown(
            topic, f"access control lists decide on {names}", f"As Asterisk's user: test -w {quote(str(path))}"
        )
    if closed:
        return bad(
            topic, f"Asterisk (user {who.user}) may not write to {path}, because of {names}",
            f"Let the group of Asterisk in: chgrp asterisk {quote(str(path.parent))} {quote(str(path))} && "
            f"chmod g+x {quote(str(path.parent))} && chmod g+w {quote(str(path))}",
        )  # fmt: skip
    if held.mode & 0o007:
        return bad(topic, f"{path} is open to all users, and holds numbers in clear", f"chmod o= {quote(str(path))}")
    if left > 1:
        return bad(
            topic, f"{left} files in {path.parent} are not in the ledger yet", "journalctl -u idtone; it says why"
        )
    return good(topic, f"Asterisk (user {who.user}) may write to {path}")


def alone(wanted: str | None, text: str | None, trouble: str, path: Path) -> Finding:
    """`wanted` is what the registry would leave, None without a registry; `text` what is there.

    Neither is ever shown: they hold numbers. `trouble` says why `text` could not be read; empty where there is none.
    """
    topic = "alone"
    restart = "systemctl restart idtone, which writes it"
    if trouble:
        return unknown(topic, f"{path}: {trouble}", "Run this as the user that `idtone serve` runs as")
    if text is None:
        return bad(topic, f"{path} is missing", restart)
    if wanted is None:
        return unknown(
            topic, f"{path} is there; without a registry nobody can say what belongs in it", "Mend the registry first"
        )
    if text != wanted:
        return bad(topic, f"{path} is not what the registry and the policy say", restart)
    return good(topic, f"{path} is what the registry and the policy say")

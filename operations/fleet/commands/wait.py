"""`idtone-fleet wait`: waits until all nodes use a registry and its suspensions."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated

from ..node_states import Fleet, fleet_of
from ..registry_spread import Confirmation, Spread, Wanted, spread
from .find_postgresql import reports_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_EVERY_S: Final = 0.2
LEAST_DIGITS: Final = 8


def wait(
    config: command_line.ConfigOption = None,
    version: Annotated[
        int | None,
        typer.Option("--registry-version", metavar="N", min=1, help="At least this version of the registry."),
    ] = None,
    suspensions: Annotated[
        str | None,
        typer.Option(
            "--suspensions",
            metavar="SHA256",
            help="The suspensions.yaml with this SHA-256, of which 8 or more first digits suffice.",
        ),
    ] = None,
    node: Annotated[
        list[str] | None, typer.Option("--node", metavar="NAME", help="Only this node; may be repeated.")
    ] = None,
    within_s: Annotated[float, typer.Option("--within", metavar="SECONDS", min=0, help="How long to wait.")] = 10.0,
    as_json: command_line.JsonOption = False,
) -> None:
    """Wait until all nodes use the newest registry and its suspensions. Exit 1: some nodes do not use it in time.

    Without --registry-version and --suspensions, the command waits for the newest registry that any node uses. A node
    is ready when it decides by that registry and has passed the suspended numbers to Asterisk. The output counts the
    seconds since the command began.
    """
    wanted = Wanted(version, _digest(suspensions))
    began_s = time.monotonic()
    seconds: dict[Confirmation, float] = {}
    with reports_reader(config) as reader, _progress() as tell:
        while True:
            found = spread(_reported(fleet_of(reader.read())), wanted, node or ())
            passed_s = time.monotonic() - began_s
            for each in found.confirmed:
                if each not in seconds:
                    seconds[each] = passed_s
                    if not as_json:
                        print(_line(each, passed_s), flush=True)
            if not found.missing or passed_s >= within_s:
                break
            tell(found.missing)
            time.sleep(min(LOOK_EVERY_S, within_s - passed_s))
    if as_json:
        _print_json(found, seconds)
    elif found.missing:
        words = Message("not confirmed within {seconds:g} s: {nodes}", seconds=within_s, nodes=", ".join(found.missing))
        print(translated(words), file=sys.stderr)
    if found.missing:
        command_line.exit_negative()


def _digest(text: str | None) -> str | None:
    """Parse a digest or the beginning of one.

    Raises UsageError.
    """
    if text is None:
        return None
    if not re.fullmatch(f"[0-9a-f]{{{LEAST_DIGITS},64}}", text.lower()):
        raise UsageError(
            "--suspensions {text!r} is not a SHA-256, nor {digits} of its first digits or more; "
            "sha256sum suspensions.yaml prints it",
            text=text,
            digits=LEAST_DIGITS,
        )
    return text.lower()


def _reported(fleet: Fleet) -> Fleet:
    """Return the fleet unchanged.

    Raises UsageError if no node has reported.
    """
    if not fleet.nodes and not fleet.unreadable:
        raise UsageError("no node has reported to this PostgreSQL yet; start `idtone serve` on one")
    for trouble in fleet.unreadable:
        raise UsageError(trouble)
    return fleet


def _line(confirmed: Confirmation, seconds: float) -> str:
    taken = confirmed.taken.astimezone().isoformat(sep=" ", timespec="milliseconds") if confirmed.taken else "–"
    return translated(
        "{node} confirms version {version} after {seconds:.1f} s, in use since {taken}",
        node=confirmed.node,
        version=confirmed.version,
        seconds=seconds,
        taken=taken,
    )


def _print_json(found: Spread, seconds: dict[Confirmation, float]) -> None:
    command_line.print_json(
        {
            "confirmed": [
                asdict(each)
                | {
                    "taken": each.taken and each.taken.isoformat(timespec="milliseconds"),
                    "seconds": round(seconds[each], 3),
                }
                for each in found.confirmed
            ],
            "missing": list(found.missing),
        }
    )


@contextmanager
def _progress() -> Iterator[Callable[[Sequence[str]], None]]:
    """Show the missing nodes while the block runs, on standard error if it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda missing: None
        return
    from rich.console import Console

    with Console(stderr=True).status("…") as shown:
        yield lambda missing: shown.update(translated("waiting for {nodes} …", nodes=", ".join(missing)))

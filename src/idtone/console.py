"""What every command shares: its options, its JSON, how it is loaded, and how it ends.

Exit codes: 0 good, 1 a negative verdict, 2 wrong use or unusable input.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TextIO

import typer
import typer.core
import typer.main

from .errors import IdtoneError, UsageError

NEGATIVE: Final = 1
UNUSABLE: Final = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", envvar="IDTONE_CONFIG", help="Settings file (default: /etc/idtone/idtone.yaml)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def group(summary: str) -> typer.Typer:
    """A command group; called without a command it shows its help."""
    return typer.Typer(help=summary, no_args_is_help=True, pretty_exceptions_enable=False)


def add_commands(group: typer.Typer, commands: Mapping[str, tuple[str, str]], panel: str | None = None) -> None:
    """Add commands whose modules are imported when they are used, because a command needs few of the modules.

    `commands`: name → (`module:function`, summary). The group's help and the shell's completion show the summary, which
    is the first paragraph of the function's docstring.
    """
    for name, (target, summary) in commands.items():
        group.command(name, cls=_stand_in(target), help=summary, rich_help_panel=panel)(_nothing)


def _stand_in(target: str) -> type[typer.core.TyperCommand]:
    """What is in the group instead of the command until it is used."""

    class StandIn(typer.core.TyperCommand):
        def loaded(self) -> Any:
            """The command itself."""
            module, _, function = target.partition(":")
            with _without_collection():
                found = getattr(import_module(module), function)
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(self.name)(found)
            return typer.main.get_command(alone)

        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            return self.loaded().make_context(info_name, args, parent, **extra)

    return StandIn


def _nothing() -> None:
    """Takes the place of the function that a stand-in has not loaded."""


@contextmanager
def _without_collection() -> Iterator[None]:
    """Without looking for garbage: imports make many objects that stay, and the search takes a tenth of their time."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""What Python makes of the bytes of a file name that are not UTF-8."""


def print_json(value: Any) -> None:
    """One JSON document on standard output; text stays readable where it can, unknown types become their text."""
    text = json.dumps(value, ensure_ascii=not _is_utf8(sys.stdout), indent=2, default=str)
    print(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def checksum_line(sha256: str, path: Path) -> str:
    """A line that `sha256sum -c` reads; it wants a backslash before a line whose name needs escapes."""
    name = str(path)
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{sha256}  {escaped}"


def counted(count: int, what: str) -> str:
    """`1 day`, `2 days`, `1,000 days`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def negative() -> NoReturn:
    """End with the exit code of a negative verdict."""
    raise typer.Exit(NEGATIVE)


def run(app: Callable[[], Any]) -> None:
    """Run the command line; an error of ours is one clear message and exit code 2.

    So is output that cannot be written, but without a message where the reader of a pipe has gone.
    """
    _make_ready()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except IdtoneError as error:
        print(f"idtone: {error}", file=sys.stderr)
        sys.exit(UNUSABLE)
    except BrokenPipeError:
        sys.exit(UNUSABLE)
    except SystemExit as end:
        # Typer ends with 1 on a broken pipe, and 1 is a verdict here.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(UNUSABLE)
        raise
    except Exception:
        # A fault of ours; Python would end with 1 as well.
        traceback.print_exc()
        sys.exit(UNUSABLE)


class _Output(io.TextIOWrapper):
    """Standard output; what cannot be written is told as an error of ours."""

    def write(self, text: str) -> int:
        with self._watched():
            return super().write(text)

    def flush(self) -> None:
        with self._watched():
            super().flush()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Python flushes once more at its end, and would complain of what is left.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise
            raise UsageError(f"the output cannot be written: {error.strerror}; send it elsewhere") from error


def _make_ready() -> None:
    """Let no character fail that a command prints, and let a command that is ended from outside clear up first."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as the process
    if type(sys.stdout) is io.TextIOWrapper:
        # A file name comes out with the bytes it has; other encodings lack most of our text.
        errors = "surrogateescape" if _is_utf8(sys.stdout) else "backslashreplace"
        encoding, by_line, at_once = sys.stdout.encoding, sys.stdout.line_buffering, sys.stdout.write_through
        sys.stdout = _Output(sys.stdout.detach(), encoding, errors, line_buffering=by_line, write_through=at_once)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"

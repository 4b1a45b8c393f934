"""What every command shares: its options, its tables, CSV and JSON, how it is loaded, and how it ends.

Exit codes: 0 good, 1 a negative verdict, 2 wrong use or unusable input. A reader of the output that goes away, as
`head` does, changes none of them: the command does its work to the end, and ends with the code of that.
"""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TextIO

import typer
import typer.core
import typer.main

from .errors import IdtoneError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

NEGATIVE: Final = 1
UNUSABLE: Final = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", envvar="IDTONE_CONFIG", help="Settings file (default: /etc/idtone/idtone.yaml)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV (RFC 4180) for spreadsheets.")]
TsvOption = Annotated[bool, typer.Option("--tsv", help="Print fields with tabs between, a line a row, for scripts.")]


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


def print_json(value: Any, indent: int | None = 2) -> None:
    """One JSON document on standard output; text stays readable where it can, unknown types become their text.

    `indent` None: on one line.
    """
    text = json.dumps(value, ensure_ascii=not _is_utf8(sys.stdout), indent=indent, default=str)
    print(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


_UNFOLDED: Final = 2**20
"""Columns of a screen that nothing is folded for."""


def screen(highlight: bool = True) -> Console:
    """Standard output for rich. What is no terminal is read by a program: there no line is cut or folded."""
    from rich.console import Console  # which not every command needs

    if sys.stdout.isatty():
        return Console(highlight=highlight)
    return Console(highlight=highlight, width=_UNFOLDED, height=25)  # without a height TERM=dumb has 80 columns


class Form(Enum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    TSV = "tsv"


def form(as_json: bool, as_csv: bool, as_tsv: bool) -> Form:
    """That of these options. Raises UsageError where there are several."""
    chosen = [form for form, wanted in ((Form.JSON, as_json), (Form.CSV, as_csv), (Form.TSV, as_tsv)) if wanted]
    if len(chosen) > 1:
        options = " and ".join(f"--{each.value}" for each in chosen)
        raise UsageError(f"{options} cannot go together; choose one")
    return chosen[0] if chosen else Form.TABLE


class Rows:
    """Prints rows under their columns, all at once or as they come: a table for people, CSV, or TSV."""

    def __init__(self, columns: Sequence[str], form: Form = Form.TABLE, whole: Sequence[str] = ()) -> None:
        """`whole` are columns that a narrow terminal folds last."""
        self._columns, self._form, self._whole = columns, form, whole
        self._is_first = True
        self._widths = [0] * len(columns)

    def print(self, rows: Iterable[Sequence[object]]) -> None:
        """None is an empty field, True `yes`, False `no`."""
        texts = [tuple(map(_field, row)) for row in rows]
        if self._form is Form.TABLE:
            self._print_table(texts)
        else:
            if self._form is Form.CSV:
                writer = csv.writer(sys.stdout)
            else:
                writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
            writer.writerows([self._columns, *texts] if self._is_first else texts)
        self._is_first = False

    def _print_table(self, texts: Iterable[Sequence[str]]) -> None:
        from rich.table import Column, Table
        from rich.text import Text

        # As they stand: square brackets are no markup here, and one row is one line.
        rows = [[Text(text.replace("\n", "\\n")) for text in row] for row in texts]
        head = [list(map(Text, self._columns))] if self._is_first else []
        for number, cells in enumerate(zip(*head, *rows, strict=True)):
            self._widths[number] = max(self._widths[number], *(cell.cell_len for cell in cells))
        columns = (
            Column(name, no_wrap=name in self._whole, min_width=0 if self._is_first else width)
            for name, width in zip(self._columns, self._widths, strict=True)
        )
        table = Table(*columns, box=None, pad_edge=False, show_header=self._is_first)
        for row in rows:
            table.add_row(*row)
        screen().print(table)


def _field(value: object) -> str:
    if value is None:
        return ""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


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
    """Run the command line; an error of ours is one clear message and exit code 2, and so is output that cannot be
    written.
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
    except SystemExit as end:
        # Typer ends with 1 on any broken pipe, and 1 is a verdict here.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(UNUSABLE)
        raise
    except Exception:
        # A fault of ours; Python would end with 1 as well.
        traceback.print_exc()
        sys.exit(UNUSABLE)


def is_read(wait_s: float) -> bool:
    """Wait so long, or until nobody reads standard output any more."""
    if isinstance(sys.stdout, _Output) and not sys.stdout.is_read:
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # that the reader has gone is told unasked
    return not poll.poll(wait_s * 1000)


class _Output(io.TextIOWrapper):
    """Standard output or error. What is written for a reader that has gone is dropped, and that is no error."""

    is_read = True

    def write(self, text: str) -> int:
        with self._watched():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._watched():
            super().flush()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.is_read = False
            self._drop()

    def _drop(self) -> None:
        """Python flushes once more at its end, and would complain of what is left."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


class _Answer(_Output):
    """Standard output; what cannot be written for another reason is told as an error of ours."""

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with super()._watched():
                yield
        except OSError as error:
            self._drop()
            raise UsageError(f"the output cannot be written: {error.strerror}; send it elsewhere") from error


def _make_ready() -> None:
    """Let no character fail that a command prints, and let a command that is ended from outside clear up first."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as the process
    if type(sys.stdout) is io.TextIOWrapper:
        # A file name comes out with the bytes it has; other encodings lack most of our text.
        sys.stdout = _taken_over(sys.stdout, _Answer, "surrogateescape" if _is_utf8(sys.stdout) else "backslashreplace")
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = _taken_over(sys.stderr, _Output, sys.stderr.errors)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _taken_over(stream: io.TextIOWrapper, kind: type[_Output], errors: str | None) -> _Output:
    encoding, by_line, at_once = stream.encoding, stream.line_buffering, stream.write_through
    return kind(stream.detach(), encoding, errors, line_buffering=by_line, write_through=at_once)


def _is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"

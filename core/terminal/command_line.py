"""Options, output formats, command groups and exit codes that all commands share.

Exit codes: 0 success, 1 a negative verdict, 2 wrong use or unusable input. If the reader of the output ends early, as
`head` does, the command finishes its work and keeps its exit code.
"""

from __future__ import annotations

import gc
import inspect
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TextIO, cast

import typer
import typer.core
import typer.main

from idtone import __version__

from ..errors import IdtoneError, UsageError
from ..translation import Message, template, translate_libraries, translated
from .standard_streams import is_utf8, make_ready
from .translated_commands import TranslatedCommand, TranslatedGroup

if TYPE_CHECKING:
    from rich.console import Console

NEGATIVE: Final = 1
UNUSABLE: Final = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", envvar="IDTONE_CONFIG", help="Settings file (default: /etc/idtone/idtone.yaml)."),
]
ListenOption = Annotated[
    str,
    typer.Option(
        "--listen", metavar="ADDRESS:PORT", help="The IP address and port to listen on, like 192.0.2.10:8700."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV (RFC 4180) for spreadsheets.")]
TsvOption = Annotated[bool, typer.Option("--tsv", help="Print tab-separated fields, one row a line, for scripts.")]


STREAM: Final = Path("-")
"""The file name that means standard input or output. With it, a command that sudo runs as another user can read and
write the calling user's files.
"""


StdoutOption = Annotated[
    bool, typer.Option("--stdout", help="Write it to standard output, like -o -; a sudo rule can allow this alone.")
]
"""An option without a value. sudo joins arguments with blanks, so a sudo rule with `-o -` would also allow the file `-
/x`.
"""


def chosen_output(output: Path | None, to_stdout: bool) -> Path | None:
    """Output path from the options -o and --stdout. Raises UsageError if both are given."""
    if output is not None and to_stdout:
        raise UsageError("-o and --stdout cannot go together; choose one")
    return STREAM if to_stdout else output


def refuse_terminal() -> None:
    """Raise UsageError if standard output is a terminal."""
    if sys.stdout.isatty():
        raise UsageError("the file would be written to this terminal; redirect it: … --stdout > FILE")


def write_out(octets: bytes) -> None:
    """Write a file's bytes to standard output. Raises UsageError if standard output is a terminal."""
    refuse_terminal()
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()


def beside_output(output: Path) -> TextIO:
    """Stream for a command's report: standard error if the file itself goes to standard output."""
    return sys.stderr if output == STREAM else sys.stdout


@contextmanager
def given_file(path: Path) -> Iterator[Path]:
    """Yield the path of an input file. For `-`, standard input is first copied to a temporary file."""
    if path != STREAM:
        yield path
        return
    import tempfile  # this and other imports in functions: not every command needs them, and a help needs none

    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def listen_address(text: str) -> tuple[str, int]:
    """Parse the value of --listen into an IP address and a port. Raises UsageError."""
    import ipaddress

    host, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        number = int(port)
    except ValueError as error:
        raise UsageError(
            "--listen {text!r} is not an IP address and a port; write it like 127.0.0.1:8700", text=text
        ) from error
    if not 0 <= number < 65536:
        raise UsageError("--listen {text!r}: a port lies between 0 and 65535", text=text)
    return host.strip("[]"), number


_PLAIN: Final[Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
"""Arguments for every Typer object: `help_page` renders the help, and bugs show a plain traceback."""


def group(summary: str, lone: bool = False, order: Sequence[str] = ()) -> typer.Typer:
    """Create a command group. Without a command, it shows its help, or runs on its own if `lone` is set.

    `order` sets the order of the commands in the help. By default, they appear in the order in which they were added.
    """
    kind = type(TranslatedGroup.__name__, (TranslatedGroup,), {"order": order}) if order else TranslatedGroup
    return typer.Typer(cls=kind, help=summary, no_args_is_help=not lone, **_PLAIN)


def runs_alone(context: typer.Context) -> bool:
    """True if a lone group was called without a subcommand.

    Raises UsageError for an option before a subcommand, where the option would have no effect.
    """
    if (command := context.invoked_subcommand) is None:
        return True
    for option in context.command.params:
        if is_on_command_line(context, str(option.name)):
            raise UsageError(
                "{option} before {command!r} has no effect; write it at the end",
                option=option.opts[-1],
                command=command,
            )
    return False


def is_on_command_line(context: typer.Context, name: str) -> bool:
    """True if the option was given on the command line rather than by the environment or a default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def program(summary: str, order: Sequence[str] = ()) -> typer.Typer:
    """Create the top-level command group of a program, with `--version`."""
    app = group(summary, order=order)

    @app.callback()
    def _root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
        ] = False,
    ) -> None: ...

    return app


def _version(wanted: bool) -> None:
    if wanted:
        print(f"idtone {__version__}")
        raise typer.Exit


@cache
def lone_command(function: Callable[..., None], name: str | None = None) -> typer.Typer:
    """Create a program from a single command."""
    app = typer.Typer(add_completion=False, **_PLAIN)
    app.command(name, cls=TranslatedCommand)(function)
    return app


def add_commands(group: typer.Typer, commands: Mapping[str, tuple[str, str]], panel: str | None = None) -> None:
    """Add commands whose modules are imported only when they run, to keep startup fast.

    `commands` maps a name to `module:function` and a summary. The summary is the first paragraph of the function's
    docstring. The group's help and the shell's completion show it.
    """
    for name, (target, summary) in commands.items():
        group.command(name, cls=_lazy_command(target), help=summary, rich_help_panel=panel)(_no_function)


def _no_function() -> None:
    """Placeholder. Typer requires a function for each command of a group."""


# Typer works out the parameters for each command at each start.
_no_function.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
_no_function.__annotations__ = {}


def _lazy_command(target: str) -> type[typer.core.TyperCommand]:
    """Create a command class that imports its function on use."""

    class LazyCommand(typer.core.TyperCommand):
        def loaded(self) -> Any:
            module, _, function = target.partition(":")
            with _without_garbage_collection():
                found = getattr(import_module(module), function)
            return typer.main.get_command(lone_command(found, self.name))

        def outlined(self) -> Any:
            """Outline of the command for help and completion, made without importing its module."""
            from .command_outline import outline

            return typer.main.get_command(lone_command(outline(*target.split(":")), self.name))

        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            if extra.get("resilient_parsing"):
                return self.outlined().make_context(info_name, args, parent, **extra)
            if "--help" in args:
                self.outlined().make_context(info_name, [*args], parent, **extra)  # ends, unless --help is a value
            return self.loaded().make_context(info_name, args, parent, **extra)

    return LazyCommand


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause garbage collection during imports, which create many lasting objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Characters with which Python represents the bytes of a file name that are not UTF-8."""


def say(text: str, /, **fields: Any) -> None:
    """Print the translation of a text."""
    print(translated(text, **fields))


def print_json(value: Any, indent: int | None = 2) -> None:
    """Print a JSON document. Values of unknown types become strings.

    Text is escaped unless the output is UTF-8. If `indent` is None, the document is on one line.
    """
    import json

    text = json.dumps(value, ensure_ascii=not is_utf8(sys.stdout), indent=indent, default=str)
    print(_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


_UNFOLDED: Final = 2**20
"""Width of a screen in columns, large enough that rich never folds a line."""


def screen(highlight: bool = True) -> Console:
    """A rich console on standard output. Without a terminal, lines are not cut, folded or padded."""
    from rich.console import Console  # not every command needs it

    if sys.stdout.isatty():
        return Console(highlight=highlight)
    out = cast("TextIO", _Unpadded())
    # Without a height TERM=dumb has 80 columns.
    return Console(highlight=highlight, file=out, width=_UNFOLDED, height=25)


class _Unpadded:
    """Standard output without the padding of rich's tables.

    Trailing spaces are held back until the next write, which may continue the line.
    """

    def __init__(self) -> None:
        self._spaces = ""

    def write(self, text: str) -> int:
        whole = self._spaces + text
        shown = whole.rstrip(" ")
        self._spaces = whole[len(shown) :]
        sys.stdout.write(_PADDING.sub("", shown))
        return len(text)

    def flush(self) -> None:
        sys.stdout.flush()

    def isatty(self) -> bool:
        return False

    @property
    def encoding(self) -> str:
        return sys.stdout.encoding


_PADDING: Final = re.compile(r" +$", re.MULTILINE)


class Form(Enum):
    """Output format of rows."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    TSV = "tsv"


def form(as_json: bool, as_csv: bool, as_tsv: bool) -> Form:
    """Output format selected by the options. Raises UsageError if more than one is given."""
    chosen = [form for form, wanted in ((Form.JSON, as_json), (Form.CSV, as_csv), (Form.TSV, as_tsv)) if wanted]
    if len(chosen) > 1:
        options = " and ".join(f"--{each.value}" for each in chosen)
        raise UsageError("{options} cannot go together; choose one", options=options)
    return chosen[0] if chosen else Form.TABLE


class Rows:
    """Prints rows as a table, CSV or TSV. Rows may be printed in several calls.

    The column names of a table are translated.
    """

    def __init__(self, columns: Sequence[str], form: Form = Form.TABLE, whole: Sequence[str] = ()) -> None:
        """Set the columns. Those in `whole` are never folded, even on a narrow terminal."""
        self._columns, self._form, self._whole = columns, form, whole
        self._is_first = True
        self._widths = [0] * len(columns)

    def print(self, rows: Iterable[Sequence[object]]) -> None:
        """Print rows. None becomes an empty field, and a bool becomes `yes` or `no`."""
        from .spreadsheet_csv import csv_lines, field_text

        texts = [tuple(map(field_text, row)) for row in rows]
        if self._form is Form.TABLE:
            self._print_table(texts)
        else:
            lines = [self._columns, *texts] if self._is_first else texts
            if self._form is Form.CSV:
                sys.stdout.write(csv_lines(lines))
            else:
                import csv

                csv.writer(sys.stdout, delimiter="\t", lineterminator="\n").writerows(lines)
        self._is_first = False

    def _print_table(self, texts: Iterable[Sequence[str]]) -> None:
        from rich.table import Column, Table
        from rich.text import Text

        # Text, because rich would read square brackets as markup. One row is one line.
        rows = [[Text(text.replace("\n", "\\n")) for text in row] for row in texts]
        head = [[Text(translated(column)) for column in self._columns]] if self._is_first else []
        for number, cells in enumerate(zip(*head, *rows, strict=True)):
            self._widths[number] = max(self._widths[number], *(cell.cell_len for cell in cells))
        columns = (
            Column(translated(name), no_wrap=name in self._whole, min_width=0 if self._is_first else width)
            for name, width in zip(self._columns, self._widths, strict=True)
        )
        table = Table(*columns, box=None, pad_edge=False, show_header=self._is_first)
        for row in rows:
            table.add_row(*row)
        screen().print(table)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values in two columns, translated."""
    for name, value in facts.items():
        print(f"{pad_to_width(translated(name), 17)} {translated(value)}")


def pad_to_width(text: str, width: int) -> str:
    """Pad a text with spaces to a width in terminal cells. A Japanese character takes two cells."""
    from .help_page import cells  # not every command needs it

    return text + " " * (width - cells(text))


def checksum_line(sha256: str, path: Path) -> str:
    """Line in the format of `sha256sum -c`. A leading backslash marks an escaped name."""
    name = str(path)
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{sha256}  {escaped}"


_COUNTED: Final = {
    "call": (template("{count:,} call"), template("{count:,} calls")),
    "day": (template("{count:,} day"), template("{count:,} days")),
    "fault": (template("{count:,} fault"), template("{count:,} faults")),
    "form": (template("{count:,} form"), template("{count:,} forms")),
    "number": (template("{count:,} number"), template("{count:,} numbers")),
}


def count_with_unit(count: int, what: str) -> Message:
    """A count with its unit, such as `1 day` or `1,000 days`."""
    return Message(_COUNTED[what][count != 1], count=count)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show a spinner on standard error during the block, if standard error is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{translated(what)} …"):
        yield


def exit_negative() -> NoReturn:
    """Exit with the exit code for a negative verdict."""
    raise typer.Exit(NEGATIVE)


THREADS_OF_NUMPY: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that limit numpy's threads, for this program and its children. The matrices here are small; several threads
would spin while waiting for each other and take processor time from calls.
"""


def run(app: Callable[[], Any]) -> None:
    """Run a command-line program. Prints a message and exits with 2 on IdtoneError or failed output."""
    make_ready()
    translate_libraries()
    for name in THREADS_OF_NUMPY:
        os.environ.setdefault(name, "1")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except IdtoneError as error:
        print(f"idtone: {translated(str(error))}", file=sys.stderr)
        sys.exit(UNUSABLE)
    except SystemExit as end:
        # Typer exits with 1 on any broken pipe, but 1 means a negative verdict here.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(UNUSABLE)
        raise
    except Exception as error:
        from .extras import not_installed  # most commands need nothing that is not installed

        if isinstance(error, ModuleNotFoundError) and (missing := not_installed(error)):
            print(f"idtone: {translated(str(missing))}", file=sys.stderr)
        else:
            import traceback

            # A bug. Python would exit with 1 here too.
            traceback.print_exc()
        sys.exit(UNUSABLE)

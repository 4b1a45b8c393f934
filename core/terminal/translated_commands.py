"""Typer commands and groups with help and usage errors in the language of the environment."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TextIO

import typer
import typer.core

from ..translation import is_japanese, paragraphs, template, translated
from .usage_errors import usage_message

_OwnError: Any = typer.BadParameter.__base__
"""Typer's base class of all usage errors, which it does not export under a name."""


_USAGE: Final = template("Usage:")
_TRY: Final = template("Try '{command} --help' for help.")
_ERROR: Final = template("Error: {problem}")


class _UseError(_OwnError):  # type: ignore[misc]  # Typer exports no name of its base
    """A usage error that shows the usage, a hint at --help and the problem, translated."""

    def show(self, file: TextIO | None = None) -> None:
        lines = [translated(_ERROR, problem=translated(usage_message(self.message)))]
        if self.ctx is not None:
            usage = self.ctx.get_usage()
            lines[:0] = [usage, translated(_TRY, command=self.ctx.command_path), ""]
        print(*lines, sep="\n", file=file or sys.stderr)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Convert Typer's usage errors into `_UseError`.

    A group without a command shows its help, which Typer treats as an error.
    """
    try:
        yield
    except _OwnError as error:
        if type(error).show is not _OwnError.show:
            raise
        raise _UseError(error.format_message(), error.ctx) from error


class _Translated:
    """Base class of commands and groups with translated help."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        _translate(self)
        above: Any = super()
        with _own_errors():
            return above.make_context(info_name, args, parent, **extra)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        above: Any = super()
        pieces: list[str] = above.collect_usage_pieces(ctx)
        return list(map(translated, pieces))

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, prefix=f"{translated(_USAGE)} ")

    def get_params(self, ctx: Any) -> list[Any]:
        """Parameters for help and completion, with a default of False for Typer's own flags.

        Without a default, Typer would import pydantic, which takes as long as the rest of a group's help.
        """
        above: Any = super()
        parameters: list[Any] = above.get_params(ctx)
        for each in parameters:
            if each.default is None and not each.expose_value and each.type_descriptor.annotation is bool:
                each.default = False
        return parameters

    def get_help_option(self, ctx: Any) -> Any:
        above: Any = super()
        option = above.get_help_option(ctx)
        if option:
            option.help = translated(option.help)
        return option

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from .help_page import help_page  # most commands run, and show no help

        usage = f"{translated(_USAGE)} {ctx.command_path} {' '.join(self.collect_usage_pieces(ctx))}"
        formatter.write(help_page(self, ctx, usage, shutil.get_terminal_size().columns))


class TranslatedCommand(_Translated, typer.core.TyperCommand):
    """A Typer command with translated help and usage errors."""


class TranslatedGroup(_Translated, typer.core.TyperGroup):
    """A Typer group with translated help and usage errors."""

    order: Sequence[str] = ()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        with _own_errors():
            return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        names: list[str] = super().list_commands(ctx)
        return sorted(names, key=self.order.index) if self.order else names


def _translate(command: Any) -> None:
    """Translate the help for a command, its parameters and its subcommands."""
    if not is_japanese():
        return
    if command.help:
        command.help = "\n\n".join(map(translated, paragraphs(command.help)))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = translated(parameter.help)
        if parameter.name == "why" and isinstance(parameter.default, str):
            parameter.default = translated(parameter.default)
    if panel := getattr(command, "rich_help_panel", None):
        command.rich_help_panel = translated(panel)
    for inner in getattr(command, "commands", {}).values():
        _translate(inner)

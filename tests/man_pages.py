"""The man pages in docs/man, made of the command line; `make docs` writes them (`tests/reference_pages.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import typer.main

from idtone.cli import app
from idtone.settings import CONFIG, DEFAULT_FILE

from . import ROOT

FOLDER: Final = ROOT / "docs" / "man"
EXIT_STATUS: Final = (("0", "good"), ("1", "a negative verdict"), ("2", "wrong use, or input that cannot be used"))


def man_pages() -> dict[Path, str]:
    """`idtone.1`, and a page for each group of commands, by their paths."""
    root = typer.main.get_command(app)
    commands: dict[str, Any] = root.commands  # type: ignore[attr-defined]
    groups = {name: command for name, command in commands.items() if hasattr(command, "commands")}
    single = {name: command for name, command in commands.items() if name not in groups}
    pages = {FOLDER / "idtone.1": page("idtone", root.help or "", single, see=[f"idtone-{name}" for name in groups])}
    for name, group in groups.items():
        pages[FOLDER / f"idtone-{name}.1"] = page(f"idtone-{name}", group.help or "", group.commands, see=["idtone"])
    return pages


def page(title: str, summary: str, commands: dict[str, Any], see: Iterable[str]) -> str:
    """One page in man(7)'s macros."""
    prefix = title.replace("-", " ")
    lines = [
        f'.TH {title.upper()} 1 "" idtone',
        ".SH NAME",
        f"{title} \\- {plain(summary).rstrip('.')}",
        ".SH SYNOPSIS",
        f".B {prefix}",
        ".I COMMAND",
        "[\\fIoptions\\fR] [\\fIarguments\\fR]",
        ".SH COMMANDS",
    ]
    for name, stand_in in commands.items():
        lines += command(f"{prefix} {name}", stand_in)
    lines += [".SH EXIT STATUS"]
    for status, meaning in EXIT_STATUS:
        lines += [".TP", f".B {status}", meaning]
    lines += [
        ".SH ENVIRONMENT", ".TP", f".B {CONFIG}", "the settings file, if there is no \\-c",
        ".TP", ".B IDTONE_...", "overrides a setting: IDTONE_ARI_URL is ari.url",
        ".SH FILES", ".TP", f".I {DEFAULT_FILE}", "the settings",
        ".SH SEE ALSO", ", ".join(f"\\fB{each}\\fR(1)".replace("-", "\\-") for each in see),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def command(name: str, stand_in: Any) -> Iterator[str]:
    loaded = stand_in.loaded() if hasattr(stand_in, "loaded") else stand_in
    arguments = [each for each in loaded.params if each.param_type_name == "argument"]
    options = [each for each in loaded.params if each.param_type_name == "option" and "--help" not in each.opts]
    yield f".SS {name}" + "".join(f" \\fI{plain(_metavar(each))}\\fR" for each in arguments)
    for number, part in enumerate((loaded.help or "").split("\n\n")):
        yield from ([".PP"] if number else []) + [plain(part)]
    for each in (*arguments, *options):
        yield ".TP"
        yield f"\\fI{plain(_metavar(each))}\\fR" if each in arguments else _option(each)
        yield plain(each.help or "")


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _option(option: Any) -> str:
    value = "" if option.is_flag else f" \\fI{plain(_metavar(option))}\\fR"
    return ", ".join(f"\\fB{plain(each)}\\fR{value}" for each in (*option.opts, *option.secondary_opts))


def plain(text: str) -> str:
    """Text on one line in which troff reads nothing but text."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return re.sub(r"^([.'])", r"\\&\1", escaped) or "\\&"

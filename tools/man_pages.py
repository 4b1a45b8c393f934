"""Generates the man pages in docs/man from the commands and their help.

`make docs` writes them (`tools/reference_pages.py`).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from idtone.core.settings.settings import CONFIG, DEFAULT_FILE
from idtone.core.translation import paragraphs
from lab.idtone_programs import PROGRAMS, command_tree
from lab.repository import ROOT

from . import messages

FOLDER: Final = ROOT / "docs" / "man"
EXIT_STATUS: Final = (("0", "good"), ("1", "a negative verdict"), ("2", "wrong use, or input that cannot be used"))
WORDS_JA: Final = {
    "NAME": "名前", "SYNOPSIS": "書式", "COMMANDS": "コマンド", "DESCRIPTION": "説明", "EXIT STATUS": "終了コード",
    "ENVIRONMENT": "環境変数",
    "FILES": "ファイル", "SEE ALSO": "関連項目", "COMMAND": "コマンド", "options": "オプション", "arguments": "引数",
    "good": "正常", "a negative verdict": "否定的な結果",
    "wrong use, or input that cannot be used": "使い方の誤り、または使えない入力",
    "the settings file, if there is no \\-c": "設定ファイル(\\-c を指定しない場合)",
    "overrides a setting: IDTONE_ARI_URL is ari.url": "設定を上書きします。IDTONE_ARI_URL は ari.url です",
    "the settings": "設定",
}  # fmt: skip


def man_pages(japanese: bool) -> dict[Path, str]:
    """Path → page: `idtone.1`, a page for each group of its commands, and a page for each other program."""
    ending = ".ja.1" if japanese else ".1"  # the name that dh_installman expects
    root = command_tree("idtone")
    others = [name for name in PROGRAMS if name != "idtone"]
    groups = {name: command for name, command in root.commands.items() if hasattr(command, "commands")}
    single = {name: command for name, command in root.commands.items() if name not in groups}
    see = [*others, *(f"idtone-{name}" for name in groups)]
    pages = {FOLDER / f"idtone{ending}": page("idtone", root.help or "", single, see, japanese)}
    for name, group in groups.items():
        path = FOLDER / f"idtone-{name}{ending}"
        pages[path] = page(f"idtone {name}", group.help or "", group.commands, ["idtone"], japanese)
    for program in others:
        top = command_tree(program)
        every = {
            f"{name} {each}".strip(): one
            for name, command in getattr(top, "commands", {"": top}).items()
            for each, one in getattr(command, "commands", {"": command}).items()
        }
        summary = top.help.partition("\n\n")[0]
        pages[FOLDER / f"{program}{ending}"] = page(program, summary, every, ["idtone"], japanese)
    return pages


def page(prefix: str, summary: str, commands: dict[str, Any], see: Iterable[str], japanese: bool) -> str:
    """One page in man(7)'s macros.

    `prefix` consists of the words before each command's name. The name is empty for a program that is a single command.
    """
    title = prefix.replace(" ", "-")
    said = messages.catalogue_text if japanese else str
    word = WORDS_JA.__getitem__ if japanese else str
    lines = [
        f'.TH {title.upper()} 1 "" idtone',
        f".SH {word('NAME')}",
        f"{title} \\- {troff_text(said(summary)).rstrip('.。')}",
        f".SH {word('SYNOPSIS')}",
        f".B {prefix}",
    ]
    if list(commands) == [""]:
        lines += [f"[\\fI{word('options')}\\fR]{_arguments(commands[''])}", f".SH {word('DESCRIPTION')}"]
        lines += description(commands[""], said)
    else:
        lines += [f".I {word('COMMAND')}", f"[\\fI{word('options')}\\fR] [\\fI{word('arguments')}\\fR]"]
        lines += [f".SH {word('COMMANDS')}"]
        for name, stand_in in commands.items():
            lines += [f".SS {prefix} {name}{_arguments(stand_in)}", *description(stand_in, said)]
    lines += [f".SH {word('EXIT STATUS')}"]
    for status, meaning in EXIT_STATUS:
        lines += [".TP", f".B {status}", word(meaning)]
    lines += [
        f".SH {word('ENVIRONMENT')}", ".TP", f".B {CONFIG}", word("the settings file, if there is no \\-c"),
        ".TP", ".B IDTONE_...", word("overrides a setting: IDTONE_ARI_URL is ari.url"),
        f".SH {word('FILES')}", ".TP", f".I {DEFAULT_FILE}", word("the settings"),
        f".SH {word('SEE ALSO')}", ", ".join(f"\\fB{each}\\fR(1)".replace("-", "\\-") for each in see),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def description(stand_in: Any, said: Callable[[str], str]) -> Iterator[str]:
    """Yield the lines on a command: its help text, its arguments and its options."""
    loaded = _loaded(stand_in)
    arguments = [each for each in loaded.params if each.param_type_name == "argument"]
    options = [each for each in loaded.params if each.param_type_name == "option" and "--help" not in each.opts]
    for number, part in enumerate(paragraphs(loaded.help or "")):
        yield from ([".PP"] if number else []) + [troff_text(said(part) if part else "")]
    for each in (*arguments, *options):
        yield ".TP"
        yield f"\\fI{troff_text(argument(each))}\\fR" if each in arguments else _option(each)
        yield troff_text(said(each.help) if each.help else "")


def _loaded(stand_in: Any) -> Any:
    return stand_in.loaded() if hasattr(stand_in, "loaded") else stand_in


def _arguments(stand_in: Any) -> str:
    found = [each for each in _loaded(stand_in).params if each.param_type_name == "argument"]
    return "".join(f" \\fI{troff_text(argument(each))}\\fR" for each in found)


def argument(parameter: Any) -> str:
    """The argument as in the command's usage line."""
    name = _metavar(parameter) if parameter.required else f"[{_metavar(parameter)}]"
    return f"{name}…" if parameter.nargs == -1 else name


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _option(option: Any) -> str:
    value = "" if option.is_flag else f" \\fI{troff_text(_metavar(option))}\\fR"
    return ", ".join(f"\\fB{troff_text(each)}\\fR{value}" for each in (*option.opts, *option.secondary_opts))


def troff_text(text: str) -> str:
    """The text on one line, with troff's special characters escaped."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return re.sub(r"^([.'])", r"\\&\1", escaped) or "\\&"

"""Help pages of commands, without the slow import of rich."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from unicodedata import east_asian_width

from ..translation import paragraphs, template, translated

_NAMES: Final = 24
"""Width of the name column in cells. The text for a longer name begins on the next line."""
_INDENT: Final = "  "
_COMMANDS: Final = template("Commands")
_ARGUMENTS: Final = template("Arguments")
_OPTIONS: Final = template("Options")
_OPENING: Final = frozenset("「『(【")
_STOPS: Final = frozenset("、。，．・ー」』)】！？")
Row = tuple[str, str]


def cells(text: str) -> int:
    """Width of a text in terminal cells. A Japanese character takes two cells."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def wrapped(text: str, width: int) -> list[str]:
    """Wrap a text into lines of at most `width` cells. A longer word gets its own line."""
    lines = [""]
    for word in text.split():
        for number, piece in enumerate(_pieces(word)):
            space = " " if lines[-1] and not number else ""
            if lines[-1] and cells(lines[-1]) + len(space) + cells(piece) > width:
                lines.append(piece)
            else:
                lines[-1] += space + piece
    return lines


def _pieces(word: str) -> Iterator[str]:
    """Split a word into parts that must stay together on a line.

    A part is a Japanese character with its brackets and full stops, or a run of other characters. Compiling a regular
    expression for so many characters would take as long as the rest of the help.
    """
    if word.isascii():
        yield word
        return
    begin = 0
    for end in range(1, len(word)):
        before, after = word[end - 1], word[end]
        belongs = before in _OPENING or after in _STOPS
        if not belongs and (_is_japanese(before) or _is_japanese(after)):
            yield word[begin:end]
            begin = end
    yield word[begin:]


def _is_japanese(character: str) -> bool:
    return "\u3000" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff" or "！" <= character <= "～"


def help_page(command: Any, context: Any, usage: str, width: int) -> str:
    """Render a command's help: usage, description, subcommands, arguments and options."""
    parts = ["\n".join(wrapped(usage, width))]
    parts += ["\n".join(wrapped(paragraph, width)) for paragraph in paragraphs(command.help or "")]
    panels: dict[str, list[Row]] = {}
    for name in command.list_commands(context) if hasattr(command, "commands") else ():
        inner = command.commands[name]
        panel = getattr(inner, "rich_help_panel", None)
        heading = panel if isinstance(panel, str) else translated(_COMMANDS)
        panels.setdefault(heading, []).append((name, inner.help or ""))
    for heading, kind in ((_ARGUMENTS, "argument"), (_OPTIONS, "option")):
        records = [
            each.get_help_record(context) for each in command.get_params(context) if each.param_type_name == kind
        ]
        panels[translated(heading)] = [row for row in records if row]
    parts += ["\n".join((f"{heading}:", *_table(rows, width))) for heading, rows in panels.items() if rows]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row], width: int) -> Iterator[str]:
    names = min(_NAMES, max(cells(name) for name, _ in rows))
    for name, text in rows:
        lines = wrapped(" ".join(text.split()), max(20, width - names - 2 * len(_INDENT)))
        if cells(name) > names:
            yield f"{_INDENT}{name}"
        else:
            yield f"{_INDENT}{name}{' ' * (names - cells(name))}{_INDENT}{lines.pop(0)}".rstrip()
        yield from (f"{_INDENT}{' ' * names}{_INDENT}{line}" for line in lines)

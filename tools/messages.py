"""Generates the catalogue of translations in `config/locale`: collects the texts and compiles the translations.

`python -m tools.messages` extracts the texts, updates idtone.po and compiles idtone.mo, as does `make messages`. The
texts of `--help` come from the command line itself. The others come from `Message("…")`, `translated("…")` and our
errors in the code, from `_("…")` in the console's templates, and from the tables below. A new text has an empty
translation. Until it is translated, a test fails and the program shows the text in English.
"""

import ast
import builtins
import errno
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from idtone.core.translation import paragraphs
from lab.idtone_programs import PROGRAMS, command_tree
from lab.repository import ROOT, modules, parsed

PO: Final = ROOT / "config" / "locale" / "ja" / "LC_MESSAGES" / "idtone.po"
MO: Final = PO.with_suffix(".mo")
HEADER: Final = """\
# Japanese texts of idtone. `make messages` adds new texts; write their translations here, and run it again.
msgid ""
msgstr ""
"Language: ja\\n"
"Content-Type: text/plain; charset=utf-8\\n"

"""

DATED: Final = datetime(2026, 1, 1, tzinfo=UTC)

TEMPLATES: Final = ROOT / "console" / "templates"
MARKS: Final = dict.fromkeys(("Message", "template", "translated", "say", "ask_line"), 1) | {"_topic": 2}
"""Function → number of its leading arguments that are texts to translate. For an error this number is one."""
FOR_LOGS: Final = frozenset({"AgiError", "JournalError", "FormError"})
"""Errors that are not translated, because their texts are for logs or are keys of texts."""
FIELD: Final = re.compile(r"\{[^{}]*\}")
"""Pattern of a named field in a template."""
LIBRARY: Final = (
    "Aborted!", "COMMAND [ARGS]...", "Show this message and exit.", "[OPTIONS]",
    "Install completion for the current shell.",
    "Show completion for the current shell, to copy it or customize the installation.", "Missing command.",
    "No such command {name!r}.", "default: {default}", "env var: {var}", "required",
)  # fmt: skip
"""Texts from Typer and Click that our commands show."""
SYSTEM: Final = tuple(
    os.strerror(number)
    for number in (
        errno.ENOENT, errno.EACCES, errno.EPERM, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY,
        errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.ELOOP,
        errno.ENAMETOOLONG, errno.EMFILE, errno.ETXTBSY,
        errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ECONNREFUSED, errno.ECONNRESET, errno.ENETUNREACH,
        errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV, errno.EINVAL, errno.EBUSY, errno.EXDEV,
    )
)  # fmt: skip
"""The operating system's errors for a file or an address, which messages show as their `reason`."""


@cache
def texts() -> dict[str, list[tuple[str, int]]]:
    """Text to translate → its places in the code, each with file and line.

    Texts of commands' help, libraries and the operating system have no places.
    """
    found: dict[str, list[tuple[str, int]]] = {}
    for text in [*LIBRARY, *SYSTEM, *(text for program in PROGRAMS for text in help_texts(command_tree(program)))]:
        found.setdefault(text, [])
    for path in sorted(modules()):
        for text, line in (*message_texts(path), *column_texts(path)):
            found.setdefault(text, []).append((str(path.relative_to(ROOT)), line))
    for path in sorted(TEMPLATES.rglob("*.html")):
        for line, _, text in extract_from_ast(Environment().parse(path.read_text("utf-8")), ("_",)):  # noqa: S701
            template = text if isinstance(text, str) else text[0]  # the other items are the fields of the text
            assert template, f"{path}:{line}: _() takes a text"
            found.setdefault(template, []).append((str(path.relative_to(ROOT)), line))
    return found


def help_texts(stand_in: Any) -> Iterator[str]:
    """Yield the paragraphs of a command's help and of its parameters' help. For a group, includes its commands."""
    command = stand_in.loaded() if hasattr(stand_in, "loaded") else stand_in
    for each in {stand_in.help, command.help}:
        yield from paragraphs(each) if each else ()
    yield from filter(None, (getattr(parameter, "help", None) for parameter in command.params))
    yield from (each.default for each in command.params if each.name == "why" and isinstance(each.default, str))
    yield from filter(None, [getattr(stand_in, "rich_help_panel", None)])
    for inner in getattr(command, "commands", {}).values():
        yield from help_texts(inner)


def message_texts(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the templates of messages and errors in a module, with their lines."""
    source = path.read_text("utf-8")
    if not any(f"{mark}(" in source for mark in (*MARKS, "Error")):
        return
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call):
            for template in node.args[: translated_arguments(_called(node))]:
                # A template of only fields and commas needs no translation. The end of a sentence does, because it
                # differs.
                if isinstance(template, ast.Constant) and re.search(r"[A-Za-z]|\. ", FIELD.sub("", template.value)):
                    yield template.value, node.lineno


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(ast.Name("command_line"), name):
            return name
    return ""


def translated_arguments(name: str) -> int:
    """Number of leading arguments of a function or an error that are texts to translate."""
    is_error = name.endswith("Error") and name not in FOR_LOGS and not hasattr(builtins, name)
    return MARKS.get(name, int(is_error))


def column_texts(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the column titles in `Rows((…))` of a module with their lines, even if a name refers to them.

    Computed titles are left out.
    """
    source = path.read_text("utf-8")
    if ".Rows(" not in source:
        return
    tree = parsed(source)
    named: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    named.setdefault(target.id, []).append(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "Rows":
            for columns in _behind(node.args[0], named):
                for column in columns.elts:
                    if isinstance(column, ast.Constant):
                        yield column.value, column.lineno


def _behind(value: ast.expr, named: Mapping[str, list[ast.expr]]) -> Iterator[ast.Tuple | ast.List]:
    """Yield the tuples and lists that an expression can refer to.

    The expression is itself a tuple or list, or a name, a conditional expression or a sum of them.
    """
    if isinstance(value, ast.Tuple | ast.List):
        yield value
    elif isinstance(value, ast.IfExp):
        yield from (*_behind(value.body, named), *_behind(value.orelse, named))
    elif isinstance(value, ast.BinOp):
        yield from (*_behind(value.left, named), *_behind(value.right, named))
    elif isinstance(value, ast.Name):
        for each in named.get(value.id, ()):
            yield from _behind(each, named)


def catalogue() -> Catalog:
    """The translations that are in the repository at present."""
    with PO.open("rb") as file:
        return read_po(file, locale="ja", domain="idtone")


def catalogue_text(text: str) -> str:
    """The Japanese translation of a text, or the text itself if it has none."""
    found = _known().get(text)
    return str(found.string) if found and found.string else text


@cache
def _known() -> Catalog:
    return catalogue()


def updated_catalogue(old: Catalog) -> Catalog:
    """Catalogue of the texts that are in the code at present. A new text has an empty translation."""
    # With the current time, the same texts would result in another file each time.
    new = Catalog(locale="ja", domain="idtone", fuzzy=False, creation_date=DATED, revision_date=DATED)
    for text, places in sorted(texts().items()):
        known = old.get(text)
        # File names have no line numbers, because a line that moves would change the catalogue.
        new.add(
            text, known.string if known else "", locations=[(name, None) for name in sorted({p for p, _ in places})]
        )
    return new


def po_file(catalogue: Catalog) -> bytes:
    """Content of idtone.po."""
    file = BytesIO()
    write_po(file, catalogue, width=120, omit_header=True, include_lineno=False)
    return HEADER.encode() + file.getvalue()


def mo_file(catalogue: Catalog) -> bytes:
    """Content of idtone.mo."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def main() -> None:
    current = updated_catalogue(catalogue())
    PO.write_bytes(po_file(current))
    MO.write_bytes(mo_file(current))
    missing = [message.id for message in current if message.id and not message.string]
    for text in missing:
        print(f"without a translation: {text}")


if __name__ == "__main__":
    main()

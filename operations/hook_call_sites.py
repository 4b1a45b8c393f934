"""Finds places that call the hook in the operator's dialplan files and in the loaded dialplan."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from idtone.core.errors import ChangeError
from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT, HOOK_FILE

from .asterisk_console import AsteriskConsole
from .doctor.asterisk_config_files import Line
from .doctor.unsupported_hook_uses import without_comments

_CALL: Final = re.compile(rf"(?<![\w-])(?:{FORWARD_CONTEXT}|{CALLED_CONTEXT})(?![\w-])")
_PATTERNS: Final = ("*.conf", "*.ael", "*.lua")
_COMMENTS: Final = {".ael": "//", ".lua": "--"}
_MOST_FILES: Final = 1000
_CONTEXT: Final = re.compile(r"\[ (?:Included )?Context '([^']+)' created by '([^']+)' \]")
_FROM_FILES: Final = ("pbx_config", "pbx_ael", "pbx_lua")
"""Registrars that fill the dialplan from files. The files are read instead, because they show the dialplan after a
reload."""


def hook_calls(folder: Path, console: AsteriskConsole) -> list[str]:
    """Places that call the hook, each as `FILE:LINE` or the name of a loaded context.

    Raises OSError.
    """
    return [*_in_files(folder), *_loaded(console)]


def _in_files(folder: Path) -> Iterator[str]:
    paths = [path for pattern in _PATTERNS for path in (*folder.glob(pattern), *folder.glob(f"*/{pattern}"))]
    for path in sorted(paths)[:_MOST_FILES]:
        if path.name == HOOK_FILE or not path.is_file():
            continue
        lines = [
            Line(path, number, text) for number, text in enumerate(path.read_text("utf-8", "replace").split("\n"), 1)
        ]
        sign = _COMMENTS.get(path.suffix)
        for line in lines if sign else without_comments(lines):
            if _CALL.search(line.text.partition(sign)[0] if sign else line.text):
                yield f"{path}:{line.number}"


def _loaded(console: AsteriskConsole) -> Iterator[str]:
    """Contexts from a database or the console that call the hook; empty if Asterisk does not answer."""
    with suppress(ChangeError):
        context = ""
        named = set()
        for line in console.run("dialplan show").splitlines():
            if begun := _CONTEXT.search(line):
                context = "" if begun[2] in _FROM_FILES or begun[1].startswith("idtone-") else begun[1]
            elif context and context not in named and _CALL.search(line):
                named.add(context)
                yield f"[{context}]"

"""What the history says in English, as messages again, so that a page shows it in the visitor's language. Pure.

A line of the history keeps the words of a change as they were. They are those of `registry.differences`, so its
templates recognise them; other words stay as they are.
"""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from typing import Final

from idtone.registry import differences, number_notation
from idtone.translation import Message

_WORDS: Final = frozenset({"id", "identity", "kind", "key", "sha256"})
"""Fields whose value has no space."""
_FIELD: Final = re.compile(r"\{(\w+)(:,)?\}")


def recognised(text: str) -> str:
    """A message with the same English text, or the text itself."""
    if not isinstance(text, Message):
        for pattern, template in _patterns():
            if found := pattern.fullmatch(text):
                counts = {name for name, form in _FIELD.findall(template) if form}
                fields = {
                    name: int(value.replace(",", "")) if name in counts else recognised(value)
                    for name, value in found.groupdict().items()
                }
                return Message(template, **fields)
    return text


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Those with the most words of their own first."""
    sources = "\n".join(map(inspect.getsource, (differences, number_notation)))
    calls = (node for node in ast.walk(ast.parse(sources.replace("from __future__ import annotations", ""))))
    templates = {
        str(node.args[0].value)
        for node in calls
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Message", "template")
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    own = {each: _FIELD.sub("", each) for each in templates}
    ordered = sorted((each for each in own if own[each].strip()), key=lambda each: -len(own[each]))
    return [(re.compile(_expression(each), re.DOTALL), each) for each in ordered]


def _expression(template: str) -> str:
    parts, end = [], 0
    for found in _FIELD.finditer(template):
        is_followed = template[found.end() : found.end() + 1] == "{"  # by a field that begins with a space
        value = "[0-9,]+" if found[2] else r"\S+" if is_followed or found[1] in _WORDS else ".*?"
        parts += [re.escape(template[end : found.start()]), f"(?P<{found[1]}>{value})"]
        end = found.end()
    return "".join([*parts, re.escape(template[end:])])

"""Builds the browser's detector as a single script.

A page opened from a file needs it, because browsers load no modules there.
"""

import json
import re
from importlib import resources
from typing import Final
from urllib.parse import quote

_MODULES: Final = ("rules", "screen", "fit", "resample", "evidence", "parts", "judging", "detector", "listen")
"""The detector's modules, each after the modules that it imports."""
_IMPORT: Final = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
_COMMENT: Final = re.compile(r"^[ \t]*(?://[^\n]*|/\*\*.*?\*/)\n", re.MULTILINE | re.DOTALL)
_INDENT: Final = re.compile(r"^[ \t]+", re.MULTILINE)
"""Patterns of comments and indentation, which the bundle omits. No module contains a multi-line string."""
_PROCESSOR: Final = 'new URL("./processor.js", import.meta.url)'


def detector_bundle() -> str:
    """A script that defines `idtoneDetector`, an object with all exports of `detector.js` and `listen.js`."""
    # A page opened from a file can load a worklet only from a data URL, not from a file or a blob.
    processor = json.dumps("data:text/javascript," + quote(_text("processor")))
    parts = [_wrapped(name, _text(name).replace(_PROCESSOR, processor)) for name in _MODULES]
    ending = "return { ...modules.detector, ...modules.listen };"
    return "\n".join(["const idtoneDetector = (() => {", "const modules = {};", *parts, ending, "})();", ""])


def _wrapped(name: str, text: str) -> str:
    """The module wrapped in a function, so that its names cannot collide with those of other modules."""
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(r"const \1 = modules.\2;", text))
    return f"modules.{name} = (() => {{\n{body}return {{ {exported} }};\n}})();"


def _text(name: str) -> str:
    text = (resources.files(__package__) / f"{name}.js").read_text(encoding="utf-8")
    return _INDENT.sub("", _COMMENT.sub("", text))

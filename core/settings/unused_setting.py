"""Rejects a setting that has no effect because of another setting."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ..errors import DocumentError, Fault
from ..translation import Message
from ..yaml_documents import ValidationFault, read_text, read_tree, validate
from .settings import DEFAULT_FILE, Settings, settings_files, variable_name

PROBLEM = Message("has no effect: ledger.url names no PostgreSQL")
REMEDY = Message("Name the PostgreSQL of this node in ledger.url, or remove this key")


def refuse_unused(
    location: tuple[str, ...], settings: Settings, path: Path | None, environment: Mapping[str, str]
) -> NoReturn:
    """Raise DocumentError for a setting, with the file or environment variable that sets it."""
    variable = variable_name(location)
    if variable in environment:
        raise DocumentError([Fault("environment", 0, 0, variable, PROBLEM, REMEDY)])

    def fault(_: Settings) -> Iterator[ValidationFault]:
        yield ValidationFault(location, PROBLEM, REMEDY)

    own = settings_files(path or DEFAULT_FILE) if path or DEFAULT_FILE.exists() else []
    for file in reversed(own):
        text = read_text(file)
        tree = read_tree(text, str(file))
        if _has(tree, location):
            validate(tree, text, str(file), Settings, fault)
    name = str(settings.shared.file) if settings.shared else "settings"
    raise DocumentError([Fault(name, 0, 0, ".".join(location), PROBLEM, REMEDY)])


def _has(tree: Any, location: tuple[str, ...]) -> bool:
    for step in location:
        if not isinstance(tree, Mapping) or step not in tree:
            return False
        tree = tree[step]
    return True

"""Edits YAML text in place. Comments, order, quotes and all other lines stay unchanged.

A library that parses and rewrites YAML (ruamel.yaml, docs/adr/0012) moves comments away from their entries and changes
the indentation. These functions instead use libyaml's events to find the place and edit the text there.
`YamlText.finish` parses the result and compares it with the intended tree. The text must be a single document without
anchors, aliases or tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import yaml

from idtone.core.errors import DocumentError, UsageError
from idtone.core.yaml_documents import Location, field_name, read_tree

Tree = str | int | date | datetime | Mapping[str, "Tree"] | Sequence["Tree"]
"""A value that can be written to YAML text."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
"""Words that YAML 1.1 does not read as text."""
_BY_HAND: Final = (
    "this place in the file can only be edited by hand; do so, and record it with `idtone-office history note`"
)
_STEP: Final = 2
_SHORT: Final = 4
"""Maximum number of values written on one line."""


@dataclass(slots=True)
class _Place:
    """Place of a value in the text: `text[start:end]`, without the comments and blank lines that follow it."""

    start: int
    column: int
    flow: bool = False
    within_flow: bool = False
    end: int = 0
    children: list[_Place] = field(default_factory=list)
    """Items of a list, or values of a mapping."""
    key: _Place | None = None

    @property
    def gap(self) -> str:
        """Space to insert between a key's colon and a new value if the key has no value yet."""
        return " " if self.key and self.start == self.end else ""


class YamlText:
    """YAML text that is edited together with its parsed tree.

    Each method raises UsageError if the place does not exist.
    """

    def __init__(self, text: str, name: str = "") -> None:
        """Parse `text`. Raises DocumentError for a syntax error; the error shows `name` as the file name."""
        self.text = text
        self.tree = read_tree(text, name)

    def replace(self, location: Location, value: str | int | date | datetime) -> None:
        self.text = replace_value(self.text, location, value)
        self._at(location[:-1])[location[-1]] = _plain(value)

    def append(self, location: Location, items: Sequence[Tree]) -> None:
        """Append items to a list, creating the list if it is missing."""
        *above, key = location
        holder = self._at(tuple(above))
        assert isinstance(key, str)
        if not items:
            return
        self.text = (
            append_items(self.text, location, items) if key in holder else add_key(self.text, tuple(above), key, items)
        )
        holder[key] = [*(holder.get(key) or ()), *map(_plain, items)]

    def replace_list(self, key: str, items: Sequence[Tree]) -> None:
        """Replace all items in the top-level list `key`. Comments between the old items are removed too."""
        if self.tree.get(key):
            self.text = empty_list(self.text, (key,))
            self.tree[key] = []
        self.append((key,), items)

    def remove(self, location: Location) -> None:
        self.remove_items(location[:-1], [location[-1]])

    def remove_items(self, location: Location, positions: Iterable[int | str]) -> None:
        """Remove items from a list by index."""
        gone = sorted(set(positions), reverse=True)
        self.text = remove_items(self.text, location, gone)
        for at in gone:
            del self._at(location)[at]

    def add(self, location: Location, key: str, value: Tree) -> None:
        self.text = add_key(self.text, location, key, value)
        self._at(location)[key] = _plain(value)

    def finish(self) -> str:
        """Return the edited text. Raises UsageError if it does not parse to the intended tree."""
        try:
            if read_tree(self.text, "") == self.tree:
                return self.text
        except DocumentError as error:
            raise UsageError(_BY_HAND) from error
        raise UsageError(_BY_HAND)

    def _at(self, location: Location) -> Any:
        found = self.tree
        for step in location:
            found = found[step]
        return found


def _plain(tree: Tree) -> Any:
    if isinstance(tree, Mapping):
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, date):
        return tree.isoformat()
    return str(tree) if isinstance(tree, str | int) else list(map(_plain, tree))


def read_value(text: str, location: Location) -> str:
    """Read the scalar at a location without building the rest of the tree.

    Raises UsageError if the place does not exist.
    """
    place = _find(text, location)
    return str(yaml.load(text[place.start : place.end], Loader=yaml.BaseLoader))  # noqa: S506  only strings


def replace_value(text: str, location: Location, value: str | int | date | datetime) -> str:
    """Copy of the text with a new value for the scalar at a location. Raises UsageError if the place does not exist."""
    place = _find(text, location)
    return text[: place.start] + place.gap + _scalar(value) + text[place.end :]


def append_items(text: str, location: Location, items: Sequence[Tree]) -> str:
    """Copy of the text with items appended to a list, in the list's style.

    An empty list becomes a block list. Raises UsageError if the place does not exist.
    """
    place = _find(text, location)
    if place.flow and place.children:
        return _inserted(text, place.children[-1].end, "".join(f", {_flow(item)}" for item in items))
    if place.children:
        return _below(text, place.children[-1].end, place.column, _items(items, place.column))
    if place.key is None or place.within_flow or text.count("\n", place.key.start, place.start):
        return _inserted(text, place.end - 1, ", ".join(map(_flow, items)))
    # `key: []` or `key:` alone, which mean the same
    without = text[: place.key.end] + ":" + text[place.end :]
    column = place.key.column + _STEP
    return _below(without, place.key.end + 1, column, _items(items, column))


def empty_list(text: str, location: Location) -> str:
    """Copy of the text with the list at a location emptied."""
    place = _find(text, location)
    assert place.key is not None, "a list of the file follows its key"
    return text[: place.key.end] + ": []" + text[place.end :]


def remove_items(text: str, location: Location, positions: Sequence[int | str]) -> str:
    """Copy of the text without some items of a list. Comments above the items stay."""
    if not positions:
        return text
    parent = _find(text, location)
    for at in positions:
        assert isinstance(at, int)
        if at == 0 and len(positions) > 1:  # what follows the first item has moved
            parent = _find(text, location)
        text = _without(text, parent, at)
    return text


def _without(text: str, parent: _Place, at: int) -> str:
    items, item = parent.children, parent.children[at]
    if parent.flow:
        start = items[at - 1].end if at else item.start
        end = items[1].start if at == 0 and len(items) > 1 else item.end
        return text[:start] + text[end:]
    line = text.rfind("\n", 0, item.start) + 1
    without = text[:line] + text[_line_end(text, item.end) + 1 :]
    if len(items) > 1:
        return without
    assert parent.key is not None, "a block follows its key"
    return _inserted(without, text.index(":", parent.key.end) + 1, " []")


def add_key(text: str, location: Location, key: str, value: Tree) -> str:
    """Copy of the text with a key added at the end of a mapping."""
    place = _find(text, location)
    if place.flow:
        if not place.children:
            return _inserted(text, place.end - 1, _pair(key, value))
        last = place.children[-1]
        return _inserted(text, last.end, f"{last.gap}, {_pair(key, value)}")
    return _below(text, place.children[-1].end, place.column, _entry(key, value, place.column))


# -- finding ----------------------------------------------------------------------------------------------------------


def _find(text: str, location: Location) -> _Place:
    place = _search(text, location)
    if place is None:
        raise UsageError("{field}: is missing in the file, or can only be edited by hand", field=field_name(location))
    return place


@dataclass(slots=True)
class _Open:
    location: Location
    place: _Place
    is_mapping: bool
    key: _Place | None = None
    name: str | None = None
    count: int = 0


def _search(text: str, wanted: Location) -> _Place | None:
    """Place of a single value; None if it does not exist. Builds no other places because the file may be large."""
    stack: list[_Open] = []
    last = 0  # the end of the last token that is not a comment
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            one = stack.pop()
            if one.place.flow:
                last = _mark(event.end_mark).index
            one.place.end = last
            if one.location == wanted:
                return one.place
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        parent = stack[-1] if stack else None
        start = _mark(event.start_mark)
        place = _Place(start.index, start.column, end=_mark(event.end_mark).index)
        if parent and parent.is_mapping and parent.key is None:
            parent.key, parent.name = place, event.value if isinstance(event, yaml.ScalarEvent) else ""
            last = place.end
            continue
        location: Location = ()
        if parent:
            location = (*parent.location, parent.name or "" if parent.is_mapping else parent.count)
            place.key, parent.key = parent.key, None
            parent.count += 1
            if parent.location == wanted:
                parent.place.children.append(place)
        if not isinstance(event, yaml.CollectionStartEvent):
            empty = place.end == place.start
            last = last if empty else place.end
            if empty and place.key:  # libyaml places it where the next token begins
                place.start = place.end = text.index(":", place.key.end) + 1
            if location == wanted:
                return place
            continue
        place.flow, place.within_flow = bool(event.flow_style), bool(parent and parent.place.flow)
        stack.append(_Open(location, place, isinstance(event, yaml.MappingStartEvent)))
    return None


def _mark(mark: Any) -> Any:
    """Mark of an event. PyYAML's types declare it optional, but libyaml always sets it."""
    return mark


# -- writing ----------------------------------------------------------------------------------------------------------


def _inserted(text: str, at: int, more: str) -> str:
    return text[:at] + more + text[at:]


def _below(text: str, end: int, column: int, lines: str) -> str:
    at = _line_end(text, end)
    return _inserted(text, at, f"\n{' ' * column}{lines}")


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _scalar(value: str | int | date | datetime) -> str:
    if isinstance(value, date):  # and a datetime
        return value.isoformat()
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.lower() not in _WORDS):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _flow(tree: Tree) -> str:
    if isinstance(tree, Mapping):
        return "{" + ", ".join(_pair(key, value) for key, value in tree.items()) + "}"
    if isinstance(tree, str | int | date):
        return _scalar(tree)
    return "[" + ", ".join(map(_flow, tree)) + "]"


def _pair(key: str, value: Tree) -> str:
    return f"{key}: {_flow(value)}"


def _block(tree: Tree, column: int) -> str:
    if isinstance(tree, Mapping) and (len(tree) > _SHORT or any(map(_long, tree.values()))):
        return f"\n{' ' * column}".join(_entry(key, value, column) for key, value in tree.items())
    return _flow(tree)


def _entry(key: str, value: Tree, column: int) -> str:
    if not _long(value):
        return _pair(key, value)
    assert isinstance(value, Sequence)
    assert not isinstance(value, str)
    inner = column + _STEP
    return f"{key}:\n{' ' * inner}{_items(value, inner)}"


def _items(items: Sequence[Tree], column: int) -> str:
    return f"\n{' ' * column}".join(f"- {_block(item, column + _STEP)}" for item in items)


def _long(value: Tree) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return len(value) > _SHORT or any(isinstance(item, Mapping) for item in value)

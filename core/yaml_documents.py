"""A strict YAML reader that returns validated models and reports every fault with its line and column.

Settings, the registry and tone profiles use this reader. Anchors, aliases, tags, multiple documents and duplicate keys
are rejected. Size and depth are limited. Scalars stay text until the model converts them, so that an unquoted
0312345678 does not become an octal number. One `DocumentError` contains all faults of a file.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import DocumentError, Fault
from .translation import Message
from .validation_errors import in_words

SIZE_LIMIT: Final = 64 * 1024 * 1024
"""Maximum file size in bytes. A registry with a million numbers takes about 30 MB."""
DEPTH_LIMIT: Final = 16
_FAULT_LIMIT: Final = 200
"""Number of faults after which reading stops. A binary file would have millions."""
_KEY_LIMIT: Final = 40
"""Maximum number of characters of an unknown key in a fault's text."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader if PyYAML has it, which yields the same events ten times as fast."""

Location = tuple[int | str, ...]
"""Keys and list positions that lead to a value from the top of the document: `("members", 0, "numbers", 2)`."""


class Model(BaseModel):
    """Base class of models that are read from files. Instances are immutable, and unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass(frozen=True, slots=True)
class ValidationFault:
    """A fault in a document's values, with its location."""

    location: Location
    problem: str
    remedy: str


def load(
    path: Path,
    model: type[AnyModel],
    rules: Callable[[AnyModel], Iterable[ValidationFault]] = lambda _: (),
    *,
    size_limit: int = SIZE_LIMIT,
) -> AnyModel:
    """Read and validate a YAML file. `rules` checks values that depend on each other.

    Raises DocumentError with all faults, each with file, line, field and remedy.
    """
    return parse(read_text(path, size_limit=size_limit), str(path), model, rules)


def parse(
    text: str, name: str, model: type[AnyModel], rules: Callable[[AnyModel], Iterable[ValidationFault]] = lambda _: ()
) -> AnyModel:
    """Parse and validate YAML text. `name` is the file name in the faults. Raises DocumentError."""
    value = read_tree(text, name)
    return validate(value, text, name, model, rules)


def validate(
    value: Any,
    text: str,
    name: str,
    model: type[AnyModel],
    rules: Callable[[AnyModel], Iterable[ValidationFault]] = lambda _: (),
) -> AnyModel:
    """Validate a tree from `read_tree`. Lines and columns of faults are looked up in `text`. Raises DocumentError."""
    try:
        result = model.model_validate({} if value is None else value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        unplaced = [
            ValidationFault(detail["loc"], *in_words(detail, model)) for detail in islice(details, _FAULT_LIMIT)
        ]
        unseen = len(details) - len(unplaced)
    else:
        found = iter(rules(result))
        unplaced = list(islice(found, _FAULT_LIMIT))
        if not unplaced:
            return result
        unseen = sum(1 for _ in found)
    places = _places(text, (unplaced.location for unplaced in unplaced))
    faults = [_located(name, unplaced, places) for unplaced in unplaced]
    if unseen:
        more = Message("has {count} more faults", count=unseen) if unseen > 1 else Message("has 1 more fault")
        faults.append(Fault(name, 0, 0, "", more, Message("Correct these first, then check again")))
    raise DocumentError(faults)


def read_text(path: Path, *, size_limit: int = SIZE_LIMIT) -> str:
    """Read a text file. Raises DocumentError if it cannot be read, is too large or is not UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(size_limit + 1)
    except OSError as error:
        problem = Message("cannot be read: {reason}", reason=error.strerror or type(error).__name__)
        raise _whole(str(path), problem, Message("Check the path and its permissions")) from error
    if len(raw) > size_limit:
        problem = Message("is larger than {limit} bytes", limit=size_limit)
        raise _whole(str(path), problem, Message("Check the path; no file here needs that size"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DocumentError(
            [Fault(str(path), line, 1, "", Message("is not UTF-8 here"), Message("Save the file as UTF-8 text"))]
        ) from error


def read_tree(text: str, name: str) -> Any:
    """Parse YAML into lists, dicts, strings and None. Raises DocumentError with all syntax faults."""
    _refuse_raw(text, name)
    reader = _TreeReader(name)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            reader.feed(event)
            if reader.hopeless:
                break
    except yaml.MarkedYAMLError as error:
        reader.faults.append(_malformed(text, name, error))
    if reader.faults:
        raise DocumentError(reader.faults)
    return reader.root


def read_compact_tree(path: Path, name: str, compact: Callable[[Sequence[str]], list[Any] | None]) -> Any:
    """Parse a large YAML file without loading the whole text into memory.

    `compact` receives the keys that lead to a sequence. It returns an object with `append` for the items, or None for
    an ordinary list. Raises DocumentError with at least one fault. `read_tree` finds all faults.
    """
    reader = _TreeReader(name, compact)
    try:
        with path.open("rb") as file:
            while lines := file.readlines(_PIECE):
                _refuse_raw(b"".join(lines).decode("utf-8-sig"), name)
            file.seek(0)
            for event in yaml.parse(file, Loader=_Loader):
                reader.feed(event)
                if reader.faults:
                    break
    except yaml.MarkedYAMLError as error:
        reader.faults.append(_malformed("", name, error))
    except (OSError, UnicodeDecodeError) as error:
        raise _whole(name, Message("cannot be read: {reason}", reason=error), Message("Check the file")) from error
    if reader.faults:
        raise DocumentError(reader.faults)
    return reader.root


_PIECE: Final = 2**20
"""Number of bytes of a large file to check at once."""


def _malformed(text: str, name: str, error: yaml.MarkedYAMLError) -> Fault:
    """Convert a YAML parser error into a fault.

    Tabs and characters that cannot begin a value have separate explanations.
    """
    mark = error.problem_mark or error.context_mark
    line, column, found = (mark.line + 1, mark.column + 1, text[mark.index : mark.index + 1]) if mark else (0, 0, "")
    if found == "\t":
        problem = Message("has a tab here, but YAML is indented by spaces")
        return Fault(name, line, column, "", problem, Message("Write spaces instead"))
    if found and error.problem == "found character that cannot start any token":
        problem = Message("has a value here that begins with {found!r}", found=found)
        return Fault(name, line, column, "", problem, Message("Put the value in quotes"))
    reason = " ".join(filter(None, (error.problem, error.context)))
    problem = Message("is not well-formed YAML: {reason}", reason=reason)
    remedy = Message("Correct the text at this place; a value with ':' or '#' needs quotes")
    return Fault(name, line, column, "", problem, remedy)


_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that YAML 1.1 does not allow (5.1, c-printable)."""
_DIRECTIVE: Final = re.compile("^%", re.MULTILINE)


def _refuse_raw(text: str, name: str) -> None:
    """Reject text that libyaml handles badly. Raises DocumentError.

    libyaml gives no location for bad characters and reads %TAG in quadratic time.
    """
    for pattern, problem, remedy in (
        (
            _UNPRINTABLE,
            Message("has a character that YAML does not allow"),
            Message("Save the file as plain UTF-8 text"),
        ),
        (
            _DIRECTIVE,
            Message("begins a line with '%', a YAML directive"),
            Message("Remove the line; directives are not allowed"),
        ),
    ):
        match = pattern.search(text)
        if match:
            line, column = text.count("\n", 0, match.start()) + 1, match.start() - text.rfind("\n", 0, match.start())
            raise DocumentError([Fault(name, line, column, "", problem, remedy)])


def _whole(name: str, problem: str, remedy: str) -> DocumentError:
    return DocumentError([Fault(name, 0, 0, "", problem, remedy)])


_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_OPEN: Final = object()


class _TreeReader:
    """Builds a tree from libyaml's events. The stack has one level per open collection."""

    def __init__(self, name: str, compact: Callable[[Sequence[str]], list[Any] | None] = lambda _: None) -> None:
        self.root: Any = None
        self.faults: list[Fault] = []
        self._name = name
        self._stack: list[tuple[Any, list[Any]]] = []  # collection, [pending key] for a mapping
        self._compact = compact
        self._keys: list[str] = []
        """Keys above the current position. `_key_counts` has their number for each open collection."""
        self._key_counts: list[int] = []
        self._too_deep = 0
        self._documents = 0

    @property
    def hopeless(self) -> bool:
        """True if reading can stop, because the rest of the text would yield no useful faults."""
        return self._documents > 1 or len(self.faults) >= _FAULT_LIMIT

    def feed(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_decoration(event)
            plain_null = event.implicit[0] and event.value in _NULLS
            self._put(None if plain_null else event.value, event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._refuse_decoration(event)
            self._push({} if isinstance(event, yaml.MappingStartEvent) else self._sequence(), event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            if self._too_deep:
                self._too_deep -= 1
            else:
                self._stack.pop()
                del self._keys[self._key_counts.pop() :]
        elif isinstance(event, yaml.AliasEvent):
            self._fault(
                event,
                "",
                Message("is an alias (*name)"),
                Message("Write the value out; anchors and aliases are not allowed"),
            )
            self._put(None, event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents == 2:
                self._fault(
                    event,
                    "",
                    Message("begins a second document"),
                    Message("Keep one document in the file; remove the '---'"),
                )

    def _sequence(self) -> list[Any]:
        found = self._compact([*self._keys, *self._key_here()])
        return [] if found is None else found

    def _key_here(self) -> list[str]:
        pending = self._stack[-1][1][0] if self._stack else _OPEN
        return [pending] if isinstance(pending, str) else []

    def _push(self, collection: Any, event: yaml.Event) -> None:
        if self._too_deep or len(self._stack) >= DEPTH_LIMIT:
            if not self._too_deep:
                self._fault(
                    event,
                    "",
                    Message("is nested more than {limit} deep", limit=DEPTH_LIMIT),
                    Message("Use fewer levels"),
                )
                self._put(None, event)
            self._too_deep += 1
            return
        self._key_counts.append(len(self._keys))
        self._keys += self._key_here()
        self._put(collection, event)
        self._stack.append((collection, [_OPEN]))

    def _put(self, value: Any, event: yaml.Event) -> None:
        if self._too_deep:
            return
        if not self._stack:
            self.root = value
            return
        collection, pending = self._stack[-1]
        if isinstance(collection, list):
            collection.append(value)
        elif pending[0] is _OPEN:
            pending[0] = self._key(value, collection, event)
        else:
            collection[pending[0]] = value
            pending[0] = _OPEN

    def _key(self, value: Any, mapping: dict[Any, Any], event: yaml.Event) -> Any:
        if not isinstance(value, str):
            self._fault(event, "", Message("has a key that is not text"), Message("Write a plain word as the key"))
            return object()
        if value in mapping:
            self._fault(event, _shown(value), Message("is there twice"), Message("Keep one of the two"))
            return object()
        mapping[value] = None
        return value

    def _refuse_decoration(self, event: Any) -> None:
        if event.anchor:
            self._fault(
                event, "", Message("has an anchor (&name)"), Message("Remove it; anchors and aliases are not allowed")
            )
        if event.tag not in (None, "!"):
            self._fault(event, "", Message("has a tag (!type)"), Message("Remove it; the type follows from the field"))

    def _fault(self, event: yaml.Event, field: str, problem: str, remedy: str) -> None:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        self.faults.append(Fault(self._name, line, column, field, problem, remedy))


@dataclass(slots=True)
class _Open:
    """An open collection and the key or index of its next value."""

    location: Location
    is_mapping: bool
    index: int = 0
    key: str | None = None
    key_mark: Any = None

    def enter(self, mark: Any) -> tuple[Location, Any]:
        if self.key is None:
            self.index += 1
            return (*self.location, self.index - 1), mark
        key, self.key = self.key, None
        return (*self.location, key), self.key_mark


def _places(text: str, locations: Iterable[Location]) -> dict[Location, tuple[int, int]]:
    """Line and column of each location in `text` and of its enclosing locations.

    A mapping's value is located at its key. The text is read again, because faults are rare, and no tree is built,
    because the text may be large.
    """
    wanted = {location[:length] for location in locations for length in range(len(location) + 1)}
    found: dict[Location, tuple[int, int]] = {}
    stack: list[_Open] = []
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        location: Location = ()
        mark = event.start_mark
        if stack:
            parent = stack[-1]
            if parent.is_mapping and parent.key is None and isinstance(event, yaml.ScalarEvent):
                parent.key, parent.key_mark = event.value, mark
                continue
            location, mark = parent.enter(mark)
        if mark and location in wanted:
            found[location] = (mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append(_Open(location, isinstance(event, yaml.MappingStartEvent)))
    return found


def _located(name: str, unplaced: ValidationFault, places: Mapping[Location, tuple[int, int]]) -> Fault:
    """Fault with the line and column of its location, or of the closest enclosing location in the file."""
    above = (unplaced.location[:length] for length in range(len(unplaced.location), -1, -1))
    line, column = next((places[location] for location in above if location in places), (1, 1))
    return Fault(name, line, column, field_name(unplaced.location), unplaced.problem, unplaced.remedy)


def field_name(location: Sequence[int | str]) -> str:
    """Text form of a location, such as `members[0].numbers[2]`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" if text else _shown(step)
    return text


_DIGITS: Final = re.compile(r"[\d +().-]{3,}(?=\d{4})")


def _shown(key: str) -> str:
    """A key as shown in an error message: short, printable and without a telephone number."""
    text = "".join(character if character.isprintable() else "�" for character in key[: _KEY_LIMIT + 1])
    masked = _DIGITS.sub("…", text)
    return masked if len(key) <= _KEY_LIMIT else f"{masked[:_KEY_LIMIT]}…"

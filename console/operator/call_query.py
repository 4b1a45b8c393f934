"""A search for calls as an address that can be bookmarked.

The address never contains telephone numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from idtone.core.calls import Delivery
from idtone.core.errors import UsageError
from idtone.core.translation import Message
from idtone.ledger.evidence.call_filter import CallFilter
from idtone.ledger.store.call_search import CallPlace

from ..time_formats import parse_typed_time

PATH: Final = "/calls"
CSV_PATH: Final = "/calls.csv"
_PLACE: Final = re.compile(r"(-?[0-9]{1,18})-([0-9]{1,18})")
_YES_OR_NO: Final = {"yes": True, "no": False, "": None}
FIELDS: Final = (
    "from", "until", "outcome", "reason", "direction", "member", "licence", "delivery", "fallback", "odd", "call",
    "node",
)  # fmt: skip
"""Fields of the search form, in the order in which the address lists them."""


@dataclass(frozen=True, slots=True)
class CallQuery:
    """A search for calls.

    `values` contains the visitor's entries by field name. `call` is the start of a call id. `node` is another node's
    name, or empty for this node. `before` or `after` is the place where a page continues.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    wanted: CallFilter = field(default_factory=CallFilter)
    start: datetime | None = None
    end: datetime | None = None
    call: str = ""
    node: str = ""
    before: CallPlace | None = None
    after: CallPlace | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> CallQuery:
        """Parse the search from an address's query. Raises UsageError."""
        values = {name: text for name in FIELDS if (text := query.get(name, "").strip())}

        def text_of(name: str) -> str | None:
            return values.get(name) or None

        wanted = CallFilter(
            text_of("direction"),
            text_of("outcome"),
            text_of("reason"),
            text_of("member"),
            text_of("licence"),
            _delivery(values),
            _choice("fallback", values),
            _choice("odd", values) is True,
        )
        return cls(
            values,
            wanted,
            local_moment("from", values.get("from", "")),
            local_moment("until", values.get("until", "")),
            values.get("call", ""),
            values.get("node", ""),
            _place("before", query),
            _place("after", query),
        )

    def since(self, begin: datetime) -> str:
        """The address of this search, limited to calls since `begin`."""
        values = {name: value for name, value in self.values.items() if name != "until"}
        return replace(self, values=values | {"from": begin.strftime("%Y-%m-%dT%H:%M")}).address()

    def address(self, path: str = PATH, **places: object) -> str:
        """The address for continuing this search from another place (`before` or `after`)."""
        parts = {**self.values, **{name: str(value) for name, value in places.items()}}
        return f"{path}?{urlencode(parts)}" if parts else path


def place_text(place: CallPlace) -> str:
    return f"{place.at}-{place.step}"


def path_of(call_id: str, *more: str, **query: str) -> str:
    """The address of a call's page or a part of that page. Empty query values are omitted."""
    asked = {name: value for name, value in query.items() if value}
    return "/".join((PATH, quote(call_id, safe=""), *more)) + (f"?{urlencode(asked)}" if asked else "")


def local_moment(name: str, text: str) -> datetime | None:
    """The moment entered in a browser's time field, in Japan time. None if the field is empty.

    A date without a time means the start of that day. Raises UsageError.
    """
    if not text:
        return None
    try:
        return parse_typed_time(text)
    except (ValueError, OverflowError) as error:
        raise UsageError("{field} is not a time; write it like 2026-11-01T09:00", field=_NAMES[name]) from error


_NAMES: Final = {
    "from": Message("From"), "until": Message("Until"), "delivery": Message("Sound"), "fallback": Message("Decided by"),
    "odd": Message("Steps"), "before": Message("The place in the list"), "after": Message("The place in the list"),
}  # fmt: skip


def _choice(name: str, values: Mapping[str, str]) -> bool | None:
    text = values.get(name, "")
    if text not in _YES_OR_NO:
        raise UsageError("{field} is neither yes nor no", field=_NAMES[name])
    return _YES_OR_NO[text]


def _delivery(values: Mapping[str, str]) -> str | None:
    text = values.get("delivery", "")
    if text and text not in set(Delivery):
        raise UsageError("{field} is none of the words of the scale", field=_NAMES["delivery"])
    return text or None


def _place(name: str, query: Mapping[str, str]) -> CallPlace | None:
    text = query.get(name, "")
    if not text:
        return None
    match = _PLACE.fullmatch(text)
    if not match:
        raise UsageError("{field} is not from this console", field=_NAMES[name])
    return CallPlace(int(match[1]), int(match[2]))

"""Long lists divided into pages. Each page's address contains its sort order and page number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from .page import Visit

T = TypeVar("T")
SIZE: Final = 100
"""Rows per page."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Sort order and page number from an address. `page` starts at 1. An empty `column` keeps the list's order."""

    column: str
    falls: bool
    page: int
    size: int

    @property
    def first(self) -> int:
        """Zero-based index of the page's first row."""
        return (self.page - 1) * self.size

    def within(self, total: int) -> ListRequest:
        """This request, or a request for the last page if this page is beyond `total` rows."""
        last = max(1, -(-total // self.size))
        return self if self.page <= last else ListRequest(self.column, self.falls, last, self.size)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list.

    `name` tells several lists on the same page apart. `is_linked` is True if the list's other pages and sort orders
    have addresses. Form results, such as the calls of a number, have none.
    """

    rows: Sequence[T]
    total: int
    asked: ListRequest
    path: str
    query: Mapping[str, str]
    name: str = ""
    is_linked: bool = True

    @property
    def page(self) -> int:
        return self.asked.page

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.asked.size))

    @property
    def first(self) -> int:
        """One-based number of the page's first row."""
        return self.asked.first + 1

    @property
    def last(self) -> int:
        return self.asked.first + len(self.rows)

    def order_of(self, column: str) -> str:
        """A column's value for `aria-sort`, or an empty string if the list is not sorted by it."""
        if column != self.asked.column:
            return ""
        return "descending" if self.asked.falls else "ascending"

    def sorted_by(self, column: str) -> str:
        """The address of the list sorted by this column.

        If it is already sorted by the column in ascending order, the order is reversed.
        """
        falls = column == self.asked.column and not self.asked.falls
        return self._address(sort=f"-{column}" if falls else column)

    def of_page(self, page: int) -> str:
        return self._address(sort=self.query.get(_of(self.name, "sort"), ""), page=str(page) if page > 1 else "")

    def _address(self, **changed: str) -> str:
        own = {_of(self.name, each) for each in ("sort", "page")}
        query = {name: value for name, value in self.query.items() if name not in own and name != "done"}
        query |= {_of(self.name, name): value for name, value in changed.items() if value}
        return f"{self.path}?{urlencode(query)}" if query else self.path


def list_request(visit: Visit, columns: Mapping[str, Any], *, size: int = SIZE, name: str = "") -> ListRequest:
    """The sort order and page number in the address. Invalid values are treated as missing."""
    sort, page = visit.query(_of(name, "sort")), visit.query(_of(name, "page"))
    column = sort.removeprefix("-")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
    return ListRequest(column if column in columns else "", sort.startswith("-"), max(1, number), size)


def listing_of_cut(visit: Visit, rows: Sequence[T], total: int, asked: ListRequest, name: str = "") -> Listing[T]:
    """A listing of `rows`, which the caller has already sorted and cut from `total` rows."""
    request = visit.request
    return Listing(rows, total, asked, request.path, dict(request.query), name, request.method == "GET")


def listing(
    visit: Visit, items: Sequence[T], columns: Mapping[str, Callable[[T], Any]], *, size: int = SIZE, name: str = ""
) -> Listing[T]:
    """The page of `items` that the address requests.

    `columns` maps each column to its sort key. Rows with None as their key come last. If the address names no column,
    the rows keep their order.
    """
    asked = list_request(visit, columns, size=size, name=name).within(len(items))
    if asked.column:
        value = columns[asked.column]
        having = sorted((each for each in items if value(each) is not None), key=value, reverse=asked.falls)
        items = [*having, *(each for each in items if value(each) is None)]
    return listing_of_cut(visit, items[asked.first : asked.first + size], len(items), asked, name)


def _of(name: str, what: str) -> str:
    return f"{name}-{what}" if name else what

"""Long lists, shown in pages. The address of a page names the order and the page number."""

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
    """The order and page number in an address. `page` counts from 1. Without a `column`, the list keeps its order."""

    column: str
    falls: bool
    page: int
    size: int

    @property
    def first(self) -> int:
        """The index of the page's first row, from 0."""
        return (self.page - 1) * self.size

    def within(self, total: int) -> ListRequest:
        """The same request; if its page lies beyond `total` rows, the request for the last page."""
        last = max(1, -(-total // self.size))
        return self if self.page <= last else ListRequest(self.column, self.falls, last, self.size)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list. `name` distinguishes several lists on the same page. `is_linked` is True if its other pages
    and orders have addresses. The result of a form, such as the calls of a number, has no addresses.
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
        """The number of the first row, counted from 1."""
        return self.asked.first + 1

    @property
    def last(self) -> int:
        return self.asked.first + len(self.rows)

    def order_of(self, column: str) -> str:
        """The value of `aria-sort` for a column; empty if the list is sorted by another one."""
        if column != self.asked.column:
            return ""
        return "descending" if self.asked.falls else "ascending"

    def sorted_by(self, column: str) -> str:
        """The address of the list sorted by this column; in reverse if the list is sorted by it already."""
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
    """The order and the page number in the address. Invalid values count as missing."""
    sort, page = visit.query(_of(name, "sort")), visit.query(_of(name, "page"))
    column = sort.removeprefix("-")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
    return ListRequest(column if column in columns else "", sort.startswith("-"), max(1, number), size)


def listing_of_cut(visit: Visit, rows: Sequence[T], total: int, asked: ListRequest, name: str = "") -> Listing[T]:
    """The listing of `rows`, the requested part of `total` rows, which the caller has sorted and cut."""
    request = visit.request
    return Listing(rows, total, asked, request.path, dict(request.query), name, request.method == "GET")


def listing(
    visit: Visit, items: Sequence[T], columns: Mapping[str, Callable[[T], Any]], *, size: int = SIZE, name: str = ""
) -> Listing[T]:
    """The part of `items` that the address asks for. `columns` maps each column to its sort key. Rows whose key is None
    come last. Without a column in the address, the rows keep their order.
    """
    asked = list_request(visit, columns, size=size, name=name).within(len(items))
    if asked.column:
        value = columns[asked.column]
        having = sorted((each for each in items if value(each) is not None), key=value, reverse=asked.falls)
        items = [*having, *(each for each in items if value(each) is None)]
    return listing_of_cut(visit, items[asked.first : asked.first + size], len(items), asked, name)


def _of(name: str, what: str) -> str:
    return f"{name}-{what}" if name else what

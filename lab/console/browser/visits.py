"""Finds the pages of each role, from the table of pages and from the links between them.

A page that looks the same to two roles is visited once.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

from idtone.console.access.rights import Right, Role, rights_of
from idtone.console.page import Method, Page


@dataclass(frozen=True, slots=True)
class Visitor:
    """A visitor with rights and cookies."""

    name: str
    rights: Set[Right | None]
    cookies: Mapping[str, str]

    @classmethod
    def of(cls, *roles: Role, cookies: Mapping[str, str]) -> Visitor:
        """The visitor with these roles. Without roles, the visitor has not signed in."""
        return cls("-".join(sorted(roles)) or "everyone", rights_of(roles) if roles else {None}, cookies)


@dataclass(frozen=True, slots=True)
class Shown:
    """A page as one visitor sees it."""

    pattern: str
    """Pattern in the table of pages, or the address of a page outside the table."""
    path: str
    visitor: Visitor
    is_html: bool = True

    @property
    def name(self) -> str:
        """Name of the page for a file."""
        return f"{re.sub(r'[^a-z0-9]+', '-', self.pattern.lower()).strip('-') or 'first'}-{self.visitor.name}"


def visits(pages: Sequence[Page], address: str, visitors: Iterable[Visitor]) -> Iterator[Shown]:
    """Yield every page. An HTML page is repeated for each of its appearances."""
    seen: set[tuple[str, str]] = set()
    for visitor in visitors:
        waiting = {page.path: page.path for page in pages if _begins(page) and page.right in visitor.rights}
        done: set[str] = set()
        linked_paths = {page.path for page in pages if page.title}
        while waiting:
            pattern, path = waiting.popitem()
            done.add(pattern)
            text = html_of(address, path, visitor.cookies, is_linked=path in linked_paths)
            if text is None:
                yield Shown(pattern, path, visitor, is_html=False)
                continue
            for link in re.findall(r'<(?:a [^>]*href|(?:audio|img) [^>]*src)="(/[^"#]*)', text):
                target = urlsplit(unescape(link)).path
                linked = _pattern_of(pages, target)
                if linked not in done and linked not in waiting and not target.startswith("/static/"):
                    waiting[linked] = unescape(link)
                    linked_paths.add(waiting[linked])
            appearance = _appearance(text)
            if (pattern, appearance) not in seen:
                seen.add((pattern, appearance))
                yield Shown(pattern, path, visitor)


def _begins(page: Page) -> bool:
    """True if the table alone determines the page's address. `/` is left out because it only redirects."""
    return page.method is Method.GET and "{" not in page.path and page.path != "/"


def _pattern_of(pages: Sequence[Page], path: str) -> str:
    """Path pattern of the page that serves an address, or the path itself if no page does."""
    for page in pages:
        if page.method is Method.GET and re.fullmatch(_expression(page), path):
            return page.path
    return path


def _expression(page: Page) -> str:
    parts = re.split(r"\{\w+(?::([^}]+))?\}", page.path)
    return "".join(
        re.escape(part or "") if place % 2 == 0 else f"(?:{part or '[^/]+'})" for place, part in enumerate(parts)
    )


def html_of(address: str, path: str, cookies: Mapping[str, str], is_linked: bool) -> str | None:
    """The text of a page, or None if it redirects or is not HTML.

    Also returns None if the page does not exist, unless `is_linked`.
    """
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection.request("GET", path, headers={"Cookie": sent})
        answer = connection.getresponse()
        is_html = answer.getheader("Content-Type", "").split(";")[0] == "text/html"
        is_lacking = answer.status == http.client.NOT_FOUND and not is_linked
        if answer.status == http.client.SEE_OTHER or is_lacking or not is_html:
            return None
        text = answer.read().decode()
        assert answer.status == http.client.OK, (path, answer.status, text)
        return text
    finally:
        connection.close()


def _appearance(text: str) -> str:
    """The text of a page without the parts that differ between users with the same rights."""
    content = re.search(r"<main.*</main>", text, re.DOTALL)
    return re.sub(r'value="[^"]*"|\d+', "", content[0] if content else text)

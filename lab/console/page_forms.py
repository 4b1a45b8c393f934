"""Reads the forms in a page's HTML, and sends them with empty fields."""

import http.client
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit


@dataclass
class PageForm:
    """A form.

    `values` are the values that a browser sends if the user types nothing. `required` are the required fields.
    """

    action: str
    has_file: bool
    values: dict[str, str] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[PageForm] = []
        self._is_content = self._is_in_form = False
        self._select = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._is_content |= tag == "main"
        if tag == "form":
            self._is_in_form = self._is_content and given.get("method") == "post"
            if self._is_in_form:
                is_file = given.get("enctype") == "multipart/form-data"
                self.found.append(PageForm(given.get("action") or "", is_file))
        elif self._is_in_form and tag in ("input", "select", "textarea") and (name := given.get("name")):
            form = self.found[-1]
            if given.get("type") != "checkbox" and given.get("type") != "file":
                form.values[name] = given.get("value") or ""
            if "required" in given:
                form.required.append(name)
            self._select, self._textarea = name if tag == "select" else "", name if tag == "textarea" else ""
        elif self._is_in_form and tag == "option" and self._select and "selected" in given:
            self.found[-1].values[self._select] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.found[-1].values[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        self._is_in_form &= tag != "form"
        self._textarea = "" if tag == "textarea" else self._textarea


def forms_of(page: str) -> list[PageForm]:
    """Forms in the page that are sent by POST and have a required field."""
    parser = _Forms()
    parser.feed(page)
    return [each for each in parser.found if each.required]


def sent_empty(form: PageForm, address: str, cookies: Mapping[str, str]) -> tuple[int, str]:
    """Send the form without its required values, and return the status and the page of the answer."""
    values = {name: "" if name in form.required else value for name, value in form.values.items()}
    body, kind = urlencode(values).encode(), "application/x-www-form-urlencoded"
    if form.has_file:
        boundary = secrets.token_hex(8)
        body, kind = b"".join(_parts(values, boundary)), f"multipart/form-data; boundary={boundary}"
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers = {"Cookie": sent, "Origin": address, "Content-Type": kind}
        connection.request("POST", form.action, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def _parts(values: Mapping[str, str], boundary: str) -> Iterator[bytes]:
    for name, value in values.items():
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    yield f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n'.encode()
    yield f"--{boundary}--\r\n".encode()

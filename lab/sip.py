"""SIP messages (RFC 3261): parsing, encoding and responses, without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, unquote

Address = tuple[str, int]
Header = tuple[str, str]

BRANCH_COOKIE: Final = "z9hG4bK"

PHRASES: Final = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    405: "Method Not Allowed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    503: "Service Unavailable",
    603: "Decline",
}

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_REQUEST_LINE: Final = re.compile(r"([A-Z]+) (\S+) SIP/2\.0")
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6]\d\d) (.*)")
_URI: Final = re.compile(r"sips?:(?:([^@]*)@)?(\[[^\]]+\]|[^:;?@\[\]]+)(?::(\d+))?([;?].*)?", re.IGNORECASE)
_BETWEEN_COMMAS: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,"<])+')
_COMMA_SEPARATED: Final = frozenset(
    {"via", "route", "record-route", "contact", "reason", "allow", "supported", "diversion", "history-info"}
)


class SipError(Exception):
    """The text is not a SIP message, or lacks a mandatory part."""


def bracketed(host: str) -> str:
    """The host as written in URIs and Via, with brackets around an IPv6 address."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI `sip:user@host:port`. `user` is decoded and may be empty."""

    user: str
    host: str
    port: int | None = None
    parameters: str = ""
    """Parameters, with their leading `;` or `?`."""

    @classmethod
    def parse(cls, text: str) -> Uri:
        match = _URI.fullmatch(text)
        if match is None:
            raise SipError(f"not a SIP URI: {text!r}")
        user, host, port, parameters = match.groups()
        # A password or user parameter (`0312345678;phone-context=…`) is not part of the dialled number.
        return cls(
            unquote(re.split("[:;]", user or "")[0], errors="surrogateescape"),
            host.strip("[]"),
            int(port) if port else None,
            parameters or "",
        )

    def __str__(self) -> str:
        user = f"{quote(self.user, '-_.!~*()&=+$,?/', errors='surrogateescape')}@" if self.user else ""
        port = f":{self.port}" if self.port is not None else ""
        return f"sip:{user}{bracketed(self.host)}{port}{self.parameters}"

    @property
    def address(self) -> Address:
        return self.host, self.port if self.port is not None else 5060

    def parameter(self, name: str) -> str:
        """The value of a URI parameter, or an empty string if it is missing."""
        return dict(_parameters(self.parameters.partition("?")[0])).get(name, "")


@dataclass(frozen=True, slots=True)
class Party:
    """Value of From, To, Contact or Route: a URI, a display name and header parameters."""

    uri: Uri
    display: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Party:
        match = re.fullmatch(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^<"]*?))\s*<([^>]*)>\s*(?:;(.*))?', text)
        if match:
            quoted, plain, uri, parameters = match.groups()
            display = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            return cls(Uri.parse(uri), display, _parameters(parameters or ""))
        uri, _, parameters = text.strip().partition(";")
        return cls(Uri.parse(uri), "", _parameters(parameters))

    def __str__(self) -> str:
        escaped = re.sub(r'(["\\])', r"\\\1", self.display)
        name = f'"{escaped}" ' if self.display else ""
        return f"{name}<{self.uri}>" + "".join(
            f";{key}={value}" if value else f";{key}" for key, value in self.parameters
        )

    @property
    def tag(self) -> str:
        return dict(self.parameters).get("tag", "")

    def tagged(self, tag: str) -> Party:
        return replace(self, parameters=(*(pair for pair in self.parameters if pair[0] != "tag"), ("tag", tag)))


def _parameters(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return tuple((key.strip().lower(), value.strip()) for key, _, value in pairs)


@dataclass(slots=True)
class Message:
    """Common part of requests and responses."""

    headers: list[Header] = field(default_factory=list)
    """Headers in the order of the message. Names may repeat.

    Content-Length is left out because it follows from the body.
    """
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """All values of a header. Comma-separated values are split."""
        name = name.lower()
        values = [value for key, value in self.headers if key.lower() == name]
        if name in _COMMA_SEPARATED:
            values = [part.strip() for value in values for part in _BETWEEN_COMMAS.findall(value)]
        return values

    def get(self, name: str) -> str:
        """The first value of a header, or an empty string if it is missing."""
        return next(iter(self.all(name)), "")

    @property
    def call_id(self) -> str:
        return self.get("Call-ID")

    @property
    def sender(self) -> Party:
        return Party.parse(self.get("From"))

    @property
    def recipient(self) -> Party:
        return Party.parse(self.get("To"))

    @property
    def sequence(self) -> tuple[int, str]:
        """Number and method in CSeq."""
        number, method = self.get("CSeq").split()
        return int(number), method

    @property
    def branch(self) -> str:
        return dict(_parameters(self.get("Via"))).get("branch", "")

    @property
    def cause(self) -> int | None:
        """Q.850 cause in a Reason header (RFC 3326), or None if it is missing."""
        for value in self.all("Reason"):
            protocol, _, parameters = value.partition(";")
            cause = dict(_parameters(parameters)).get("cause", "")
            if protocol.strip().upper() == "Q.850" and cause.isdigit():
                return int(cause)
        return None

    def _encode(self, start: str) -> bytes:
        lines = [start, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {len(self.body)}"]
        if any(re.search(r"[\r\n\0]", line) for line in lines):
            raise SipError("a header may not hold a line break")
        return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + self.body


@dataclass(slots=True)
class Request(Message):
    method: str = ""
    uri: Uri = field(default_factory=lambda: Uri("", ""))

    def encode(self) -> bytes:
        return self._encode(f"{self.method} {self.uri} SIP/2.0")

    def response(self, status: int, to_tag: str = "", headers: Iterable[Header] = (), body: bytes = b"") -> Response:
        """The response to this request (8.2.6)."""
        recipient = self.recipient if self.recipient.tag or not to_tag else self.recipient.tagged(to_tag)
        copied = self._copy("via", "from", "call-id", "cseq", "record-route")
        return Response([*copied, ("To", str(recipient)), *headers], body, status, PHRASES.get(status, "Refused"))

    def acknowledgement(self, response: Response) -> Request:
        """The ACK for a final response other than 2xx to this INVITE (17.1.1.3)."""
        return self._hop("ACK", response.recipient)

    def cancellation(self) -> Request:
        """The CANCEL for this INVITE (9.1)."""
        return self._hop("CANCEL", self.recipient)

    def _hop(self, method: str, recipient: Party) -> Request:
        """A request in the same transaction, with the same Via and the same number."""
        copied = self._copy("via", "route", "max-forwards", "from", "call-id")
        sequence = ("CSeq", f"{self.sequence[0]} {method}")
        return Request([*copied, ("To", str(recipient)), sequence], b"", method, self.uri)

    def _copy(self, *names: str) -> list[Header]:
        return [(name, value) for name, value in self.headers if name.lower() in names]


@dataclass(slots=True)
class Response(Message):
    status: int = 0
    phrase: str = ""

    def encode(self) -> bytes:
        return self._encode(f"SIP/2.0 {self.status} {self.phrase}")


def parse(data: bytes) -> Request | Response:
    """Parse the message in one datagram. Octets that are not UTF-8 become surrogates. Raises SipError."""
    head, separator, body = data.partition(b"\r\n\r\n")
    start, *lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape")).split("\r\n")
    headers = [_header(line) for line in lines]
    length = next((value for name, value in headers if name == "content-length"), str(len(body)))
    if not separator or not length.isdigit() or int(length) > len(body):
        raise SipError("the message is cut off")
    body = body[: int(length)]
    headers = [(name, value) for name, value in headers if name != "content-length"]
    if match := _REQUEST_LINE.fullmatch(start):
        message: Request | Response = Request(headers, body, match[1], Uri.parse(match[2]))
    elif match := _STATUS_LINE.fullmatch(start):
        message = Response(headers, body, int(match[1]), match[2])
    else:
        raise SipError(f"neither a request nor a status line: {start[:80]!r}")
    _check(message)
    return message


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name = name.rstrip().lower()
    if not colon or not _TOKEN.fullmatch(name):
        raise SipError(f"not a header: {name[:80]!r}")
    return name, value.strip()


def _check(message: Request | Response) -> None:
    """Check the mandatory headers (8.1.1), so that the properties cannot fail later. Raises SipError."""
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        if not message.get(name):
            raise SipError(f"the message has no {name}")
    if not re.fullmatch(r"\d{1,10}\s+[A-Z]+", message.get("CSeq")):
        raise SipError("the CSeq is not a number and a method")
    if isinstance(message, Request) and message.sequence[1] != message.method:
        raise SipError("the CSeq names another method than the request")
    if not message.branch.startswith(BRANCH_COOKIE):
        raise SipError("the Via has no branch of RFC 3261")
    for value in (message.get("From"), message.get("To"), *message.all("Contact")):
        if value != "*":
            Party.parse(value)

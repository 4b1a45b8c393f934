"""Validators for values of settings: addresses, sizes and lists. A ValueError has a problem and a remedy."""

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from ..errors import NumberError, TokenError
from ..hardware_tokens import TokenKeyName
from ..numbers import parse_pattern
from ..translation import Message


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError(Message("is not an HTTP address"), Message("Write it like http://127.0.0.1:8088/ari"))
    return value.rstrip("/")


def _desk_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        raise ValueError(
            Message("is not an address that begins with https://"), Message("Write it like https://desk.example")
        )
    return value.rstrip("/")


def _source(value: str) -> str:
    if "://" in value and not value.startswith("https://"):
        raise ValueError(Message("is neither a path nor an address that begins with https://"))
    return value.rstrip("/") or "/"


def _token_key(value: str) -> str:
    try:
        TokenKeyName.parse(value)
    except TokenError as error:
        raise ValueError(Message("is not a key in a token"), Message("Write it like hsm:1?label=ledger")) from error
    return value


_PORT: Final = re.compile(r"(?P<host>[0-9.]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


def _ip_address(value: str, remedy: Message) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    match = _PORT.fullmatch(value)
    try:
        address = ipaddress.ip_address(match["host"].strip("[]")) if match else None
    except ValueError:
        address = None
    if match is None or address is None or not 0 < int(match["port"]) < 65536:
        raise ValueError(Message("is not an IP address and a port"), remedy)
    return address


_SOCKET: Final = re.compile(r"unix:/[A-Za-z0-9/._~@%+=-]+")
"""Text that a dialplan application takes as one argument, unchanged."""


def _listen_address(value: str) -> str:
    """Validate that other machines cannot reach the address, because requests carry a secret in clear text."""
    remedy = Message("Write it like 127.0.0.1:4573, or unix:/run/idtone/agi.sock")
    if value.startswith("unix:"):
        # The kernel allows 107 bytes. The socket has a longer, temporary name until it is ready.
        if not _SOCKET.fullmatch(value) or len(value) > 90:
            raise ValueError(
                Message("is not the absolute path of a socket in ASCII letters, digits and ._~@%+=-, or is too long"),
                remedy,
            )
        return value
    if not _ip_address(value, remedy).is_loopback:
        raise ValueError(Message("is not a loopback address, and AGI is not encrypted; use ARI over https"), remedy)
    return value


def _metrics_address(value: str) -> str:
    _ip_address(value, Message("Write it like 127.0.0.1:9573, or null for no metrics"))
    return value


def _issuer(value: str) -> str:
    _desk_url(value)
    return value  # unchanged: the provider's tokens have it letter by letter


def _browser_address(value: str) -> str:
    remedy = Message("Write it like https://pbx.example.jp")
    _desk_url(value)
    parts = urlsplit(value)
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(Message("has more than a host and a port"), remedy)
    return value.rstrip("/")


def _prometheus_url(value: str) -> str:
    remedy = Message("Write it like http://127.0.0.1:9090")
    parts = urlsplit(value)
    try:
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if parts.scheme not in ("http", "https") or not has_host or not value.isprintable() or " " in value:
        raise ValueError(Message("is not an HTTP address"), remedy)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(Message("has more than a host, a port and a path"), remedy)
    return value.rstrip("/")


def _console_address(value: str) -> str:
    remedy = Message("Write it like 127.0.0.1:8720, or unix:/run/idtone-console/console.sock")
    if value.startswith("unix:"):
        return _listen_address(value)
    if not _ip_address(value, remedy).is_loopback:
        raise ValueError(Message("is not a loopback address; put a proxy with TLS before the console"), remedy)
    return value


def split_port(value: str) -> tuple[str, int]:
    """Split an address into the host, without brackets, and the port."""
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


def _entries(value: object) -> object:
    return [entry.strip() for entry in value.split(",") if entry.strip()] if isinstance(value, str) else value


def _witness(value: str) -> str:
    url, _, key = value.partition(" ")
    if not url.startswith(("https://", "http://")) or key.strip().count("+") < 2 or " " in key.strip():
        raise ValueError(
            Message("is not an address with a verifier key"),
            Message("Write it like https://witness.example NAME+ID+BASE64"),
        )
    return f"{url.rstrip('/')} {key.strip()}"


def _postgresql_url(value: str) -> str:
    remedy = Message("Write it like postgresql://idtone@db-2.example/idtone?sslmode=verify-full")
    try:
        parts = urlsplit(value)
        has_password = parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        raise ValueError(Message("is not the address of a PostgreSQL"), remedy) from None
    if parts.scheme != "postgresql" or "://" not in value:
        raise ValueError(Message("is not the address of a PostgreSQL"), remedy)
    if has_password:
        raise ValueError(Message("holds a password, which many may read"), remedy)
    return value


_VERIFIER: Final = re.compile(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*")


def _verifier(value: str) -> str:
    if not _VERIFIER.fullmatch(value.strip()):
        raise ValueError(
            Message("is not a verifier key"), Message("Write the line that `idtone-fleet new-signing-key` prints")
        )
    return value.strip()


def _log_name(value: str) -> str:
    if re.search(r"[\s+]", value):
        raise ValueError(Message("has a space or a '+' in it"), Message("Write it like pbx-1.example/idtone"))
    return value


def _endpoint(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.+-]{1,60}", value):
        raise ValueError(
            Message("is not the name of a PJSIP endpoint: letters, digits and _ . + - only"),
            Message("Write it like pbx-osaka-1, as in pjsip.conf"),
        )
    return value


def _trunk(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.+-]{1,60}", value):
        raise ValueError(
            Message("is not the name of a trunk: letters, digits and _ . + - only"),
            Message("Write it like trunk-1, as in pjsip.conf; g0 for DAHDI/g0; or the context of a Local channel"),
        )
    return value


_UNITS: Final = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(|[kMG]B|[KMG]iB)")


def _octets(value: object) -> object:
    match = _SIZE.fullmatch(str(value))
    if not match:
        raise ValueError(Message("is not a size"), Message("Write it like 64MB, or 0 for none"))
    return int(match[1]) * _UNITS[match[2]]


def _pattern(value: str) -> str:
    try:
        parse_pattern(value)
    except NumberError as error:
        raise ValueError(str(error)) from error
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
TimestampUrl = HttpUrl
"""An http or https URL. Replies are signed, so http without TLS is allowed."""
DeskUrl = Annotated[str, AfterValidator(_desk_url)]
RegistrySource = Annotated[str, AfterValidator(_source)]
"""A path or an https address."""
AgiAddress = Annotated[str, AfterValidator(_listen_address)]
"""A loopback address with a port, or `unix:` and an absolute path."""
BrowserAddress = Annotated[str, AfterValidator(_browser_address)]
IssuerUrl = Annotated[str, AfterValidator(_issuer)]
PrometheusUrl = Annotated[str, AfterValidator(_prometheus_url)]
ConsoleAddress = Annotated[str, AfterValidator(_console_address)]
"""The same forms as `AgiAddress`."""
TokenKeyText = Annotated[str, AfterValidator(_token_key)]
MetricsAddress = Annotated[str, AfterValidator(_metrics_address)]
WitnessLine = Annotated[str, AfterValidator(_witness)]
"""A witness's address and verifier key, separated by a space."""
EndpointName = Annotated[str, AfterValidator(_endpoint)]
"""The name of an endpoint in pjsip.conf."""
TrunkName = Annotated[str, AfterValidator(_trunk)]
"""A PJSIP endpoint, the resource of another technology, or the context of a Local channel."""
VerifierLine = Annotated[str, AfterValidator(_verifier)]
"""A verifier key as one line, NAME+ID+BASE64. It is validated where it is used."""
PostgreSQLUrl = Annotated[str, AfterValidator(_postgresql_url)]
"""An address in libpq's form, without a password."""
LogName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_log_name)]
Octets = Annotated[int, BeforeValidator(_octets)]
NumberPattern = Annotated[str, AfterValidator(_pattern)]
COMMA_LIST: Final = BeforeValidator(_entries)
"""Marker before a tuple type: a text with commas is accepted as a list."""

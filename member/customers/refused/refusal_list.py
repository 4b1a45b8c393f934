"""The refusal list published by the association, with tokens and their periods.

Without the association's key, the tokens reveal nothing.

    idtone-refusals/1
    {"count":2,"epoch":1,"made":"2026-11-27","public":"BASE64","table":{…}}
    TOKENS SINCE UNTIL NUMBERS

The second line is canonical JSON (RFC 8785). `public` is the public key (VOPRF), and `table` is the identity table for
creating keys. It is followed by `count` 16-byte tokens in ascending order. After the tokens come three big-endian
columns in the same order: each token's first day (16 bits, in days since 2000-01-01), the day before which it ends
(same format), and the number of its refusal (32 bits). A list with a million tokens takes 24 MB.
"""

import base64
import binascii
import json
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from operator import attrgetter
from typing import Any, Final

import rfc8785
from pydantic import ValidationError

from idtone.core.errors import TrustError
from idtone.core.translation import Message

from .identity_keys import IdentityTable

HEADER: Final = b"idtone-refusals/1\n"
TOKEN_BYTES: Final = 16
_DAY_ZERO: Final = date(2000, 1, 1)
LAST_DAY: Final = _DAY_ZERO + timedelta(days=0xFFFF)
_ROW_BYTES: Final = TOKEN_BYTES + 2 + 2 + 4
_HEADER_LIMIT: Final = 2**20
"""Maximum size of the two header lines, in bytes."""


@dataclass(frozen=True, slots=True, order=True)
class RefusedToken:
    """A token in the list, in force from `since` up to, but not including, `until`.

    `number` is the number of the refusal.
    """

    token: bytes
    since: date
    until: date
    number: int

    @property
    def reference(self) -> str:
        """Reference for members to quote to the association."""
        return reference_of(self.number)


def reference_of(number: int) -> str:
    return f"X-{number}"


def pack_list(rows: Iterable[RefusedToken], epoch: int, public: bytes, table: IdentityTable, made: date) -> bytes:
    """Content of a list file with these rows."""
    ordered = sorted(rows, key=attrgetter("token", "until", "number"))
    count = len(ordered)
    header: dict[str, Any] = {
        "count": count,
        "epoch": epoch,
        "made": made.isoformat(),
        "public": base64.b64encode(public).decode(),
        "table": table.model_dump(mode="json"),
    }
    return b"".join(
        (
            HEADER, rfc8785.dumps(header), b"\n",
            b"".join(row.token for row in ordered),
            struct.pack(f">{count}H", *(_number(row.since) for row in ordered)),
            struct.pack(f">{count}H", *(_number(row.until) for row in ordered)),
            struct.pack(f">{count}I", *(row.number for row in ordered)),
        )
    )  # fmt: skip


class RefusalList(Sequence[RefusedToken]):
    """A list in memory. Tokens are unpacked only when needed."""

    def __init__(self, octets: bytes) -> None:
        """Raises TrustError if `octets` is not a complete list."""
        begin = octets.find(b"\n", len(HEADER), _HEADER_LIMIT) + 1
        if not octets.startswith(HEADER) or not begin:
            raise _damaged()
        try:
            header = json.loads(octets[len(HEADER) : begin])
            count, epoch = header["count"], header["epoch"]
            self.made = date.fromisoformat(header["made"])
            self.public = base64.b64decode(header["public"], validate=True)
            self.table = IdentityTable.model_validate(header["table"])
        except (ValueError, LookupError, TypeError, RecursionError, binascii.Error, ValidationError) as error:
            raise _damaged() from error
        if type(count) is not int or type(epoch) is not int or len(octets) != begin + count * _ROW_BYTES:
            raise _damaged()
        self.epoch = epoch
        self._count, self._octets = count, octets
        self._tokens = begin
        self._since = begin + count * TOKEN_BYTES
        self._until = self._since + count * 2
        self._numbers = self._until + count * 2

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        if not 0 <= at < self._count:
            raise IndexError(at)
        (since,) = struct.unpack_from(">H", self._octets, self._since + 2 * at)
        (until,) = struct.unpack_from(">H", self._octets, self._until + 2 * at)
        (number,) = struct.unpack_from(">I", self._octets, self._numbers + 4 * at)
        return RefusedToken(
            self.token(at), _DAY_ZERO + timedelta(days=since), _DAY_ZERO + timedelta(days=until), number
        )

    def packed_rows(self) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
        """Iterate over all rows in packed form, which is faster than unpacking every `RefusedToken`."""
        return zip(
            *(
                (self._octets[at : at + size] for at in range(begin, begin + size * self._count, size))
                for begin, size in ((self._tokens, TOKEN_BYTES), (self._since, 2), (self._until, 2), (self._numbers, 4))
            ),
            strict=True,
        )

    @property
    def rows(self) -> bytes:
        """All tokens with their periods, in file format."""
        return self._octets[self._tokens :]

    def token(self, at: int) -> bytes:
        begin = self._tokens + TOKEN_BYTES * at
        return self._octets[begin : begin + TOKEN_BYTES]

    def find(self, token: bytes, on: date) -> Iterator[RefusedToken]:
        """Yield a token's refusals that are in force on a day in Japan."""
        at = bisect_left(range(self._count), token, key=self.token)
        while at < self._count and self.token(at) == token:
            row = self[at]
            if row.since <= on < row.until:
                yield row
            at += 1

    def check_order(self) -> None:
        """Check that the tokens are sorted so that searches find them. Signers of a list need this.

        Raises TrustError.
        """
        before = b""
        for at in range(self._count):
            token = self.token(at)
            if token < before:
                raise _damaged()
            before = token


@cache
def _number(day: date) -> int:
    return (day - _DAY_ZERO).days


def list_differences(old: RefusalList | None, new: RefusalList | None) -> Iterator[str]:
    """Yield descriptions of the differences between the old and new lists, for the signers."""
    if new is None:
        if old is not None:
            yield Message("no list of refusals any more; it had {count} tokens", count=len(old))
        return
    if old is None or old.epoch != new.epoch:
        yield Message("a list of refusals by a new key, epoch {epoch}: {count} tokens", epoch=new.epoch, count=len(new))
    else:
        before, after = set(old.packed_rows()), set(new.packed_rows())
        yield Message(
            "{more} tokens more, {fewer} fewer; {all} in all",
            more=len(after - before),
            fewer=len(before - after),
            all=len(after),
        )
        if old.public != new.public:
            yield Message("another key in the same epoch")
    if old is not None and old.table != new.table:
        yield Message("another identity table")


def _damaged() -> TrustError:
    return TrustError("this is not a list of refusals, or it is damaged")

"""The hook's request for a verdict, as it comes over either interface."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

_TIME: Final = re.compile(r"[0-9]{1,10}\.[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Request:
    """The hook's request for a verdict; each field is unchecked text.

    Only the hook and the service know `nonce`. `caller` is the caller id of the channel, `called` is CALLED_NUMBER,
    `chain` is the id of the call that this one is a leg of, and `diverting` is the number that forwarded the call to
    this PBX, according to its signalling.
    """

    call_id: str
    nonce: str
    number: str
    direction: str = ""
    called: str = ""
    dial_string: str = ""
    caller: str = ""
    chain: str = ""
    diverting: str = ""
    own_dial: bool = False
    """The request comes from the operator's own Dial(), after the answer: only the called party can hear a sound."""
    asked_s: float | None = field(default=None, compare=False)
    """When the hook made the request, by Asterisk's clock (Unix); None if it does not say so."""

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Request | None:
        """Read the arguments that the hook sends over either interface; None if they are not a request.

        They are: `decide` (`own` under the operator's own Dial()), call id, nonce, time, number, direction, called
        number, dial string, caller, chain, diverting number. Values from outside are URI-encoded.
        """
        if len(arguments) != 11 or arguments[0] not in ("decide", "own"):
            return None
        kind, call_id, nonce, time, number, direction, called, dial_string, caller, chain, diverting = arguments
        return cls(
            call_id, nonce, unquote(number), unquote(direction), unquote(called), unquote(dial_string), unquote(caller),
            chain, unquote(diverting), kind == "own", float(time) if _TIME.fullmatch(time) else None,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Request of {self.call_id}>"

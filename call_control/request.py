"""The hook's request for a verdict, received over ARI or AGI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from idtone.ledger.evidence.steps import is_call_id

_ARGUMENTS: Final = 15
_NONCE: Final = re.compile(r"[0-9]{12}")
_TIME: Final = re.compile(r"[0-9]{1,10}\.[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Request:
    """The hook's request for a verdict. All fields but `call_id` and `nonce` are unvalidated text.

    Only the hook and the service know `nonce`. `caller` is the channel's caller id; with the operator's own Dial(), it
    is the number that the called party sees. `called` is CALLED_NUMBER. `channel` is the name of the caller's channel
    (empty with the operator's own Dial()), and `account` its account code. `chain` is the id of the earlier call; this
    call is a leg of it. `diverting` is the number that forwarded the call to this PBX, according to its signalling.
    `sip_call_id` is the Call-ID of the caller's channel. `chain_token` is the token that came over a trunk from another
    node (`call_control.chain_token`).
    """

    call_id: str
    nonce: str
    number: str
    direction: str = ""
    called: str = ""
    dial_string: str = ""
    caller: str = ""
    channel: str = ""
    account: str = ""
    chain: str = ""
    diverting: str = ""
    sip_call_id: str = ""
    chain_token: str = field(default="", repr=False)
    own_dial: bool = False
    """True if the request comes from the operator's own Dial(), after the answer. Only the called party can hear a
    sound then.
    """
    asked_s: float | None = field(default=None, compare=False)
    """Time of the request by Asterisk's clock (Unix); None if the hook does not give it."""

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Request | None:
        """Parse the arguments that the hook sends over ARI or AGI; None if they are not a request.

        They are: `decide` (`own` with the operator's own Dial()), call id, nonce, time, number, direction, called
        number, dial string, caller, the caller's channel, account code, chain, diverting number, SIP Call-ID, chain
        token. Values from outside are URI-encoded.
        """
        if len(arguments) != _ARGUMENTS or arguments[0] not in ("decide", "own"):
            return None
        kind, call_id, nonce, time, *rest = arguments
        if not _NONCE.fullmatch(nonce) or not is_call_id(call_id):
            return None
        number, direction, called, dial_string, caller, channel, account, chain, *more = rest
        diverting, sip_call_id, chain_token = map(unquote, more)
        return cls(
            call_id,
            nonce,
            unquote(number),
            unquote(direction),
            unquote(called),
            unquote(dial_string),
            unquote(caller),
            unquote(channel),
            unquote(account),
            chain,
            diverting,
            sip_call_id,
            chain_token,
            kind == "own",
            float(time) if _TIME.fullmatch(time) else None,
        )

    def __repr__(self) -> str:
        return f"<Request of {self.call_id}>"

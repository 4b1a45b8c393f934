"""Converts a request into a call: its numbers, its trunks, and the earlier call that it is a leg of."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from idtone import dialplan
from idtone.core.calls import Direction, ForwardedCall, Party, RemoteCall
from idtone.core.log_output import call_extra
from idtone.core.numbers import Number, NumberKind, ascii_form, parse, parse_or_none
from idtone.dialplan.number_expressions import is_emergency_call
from idtone.ledger.evidence.steps import truncated_sip_call_id

from .call import Call
from .request import Request

log = logging.getLogger(__name__)

BACK_WITHIN: Final = timedelta(seconds=10)
"""Maximum time until a call that the network forwards to this PBX comes back. It is short, because the network only
looks up a number.
"""


class RequestNumbers(NamedTuple):
    """A request's parsed numbers. `dialled` is the called number as sent by the hook."""

    forwarding: Number
    called: Number
    caller: Number
    dialled: str

    @classmethod
    def of(cls, request: Request) -> RequestNumbers:
        dialled = request.called or dialplan.dialled_user(request.dial_string)
        return cls(parse(request.number), parse(dialled), parse(request.caller), dialled)


def forwarded_call(
    request: Request,
    numbers: RequestNumbers,
    chained_from: RemoteCall | None,
    announced: bool,
    emergency_trunks: Sequence[str],
) -> ForwardedCall:
    """Convert a request into the call that the decision examines.

    `emergency_trunks` are the trunks for emergency calls; empty means all trunks.
    """
    if request.direction not in ("", *Direction):
        log.error(
            "%s: the hook's DIRECTION is unknown; it counts as incoming",
            request.call_id,
            extra=call_extra(request.call_id),
        )
    outgoing = request.direction == Direction.OUTGOING
    presented = (numbers.forwarding, parse_or_none(request.number))
    return ForwardedCall(
        id=request.call_id,
        direction=Direction.OUTGOING if outgoing else Direction.INCOMING,
        forwarding_number=numbers.forwarding,
        caller=numbers.caller,
        called=numbers.called,
        dialled=numbers.dialled,
        perhaps=presented[1],
        caller_perhaps=parse_or_none(request.caller),
        parties=frozenset({Party.CALLED}) if request.own_dial else frozenset(Party),
        announced=announced,
        chained_from=chained_from,
        endpoint=dialplan.endpoint_of(request.channel),
        account=request.account,
        trunks=tuple(sorted(dialplan.endpoints(request.dial_string))),
        sip_call_id=truncated_sip_call_id(request.sip_call_id),
        emergency=is_emergency_call(
            ascii_form(request.dial_string),
            ascii_form(request.called),
            emergency_trunks,
            _is_emergency,
            request.own_dial,
        ),
        presents_other=request.own_dial and outgoing and _is_other(numbers.caller, presented),
    )


def call_that_came_back(request: Request, numbers: RequestNumbers, calls: Iterable[Call], now: datetime) -> Call | None:
    """Call in progress that came back from the network over a trusted trunk, or None.

    The trusted trunks are `policy.diversion_trunks`. The hook reads `diverting` only from calls over these trunks.
    """
    if not request.diverting or not numbers.forwarding.known:
        return None
    diverting = parse(request.diverting)
    return next((call for call in calls if _came_back(call, diverting, numbers, now)), None)


def _came_back(call: Call, diverting: Number, numbers: RequestNumbers, now: datetime) -> bool:
    """True if a leg that names `diverting` is `call` on its way back.

    The call must play a sound itself, have the same numbers and be only a moment old, and no other leg may have come
    back. Without these conditions, a stranger's call could avoid the sound, because a header can name any call.
    """
    return (
        bool(call.decision.profiles)
        and not call.came_back
        and now - call.decided_at <= BACK_WITHIN
        and call.called == numbers.forwarding
        and call.caller == numbers.caller
        and diverting.known
        and diverting in call.forwarding_numbers
    )


def _is_other(presented: Number, numbers: Sequence[Number | None]) -> bool:
    """True if the presented number differs from all of the numbers. A withheld number is not presented."""
    return presented.kind is not NumberKind.WITHHELD and not (presented.known and presented in numbers)


def _is_emergency(text: str) -> bool:
    return parse(text).kind is NumberKind.EMERGENCY

"""Forwarding chains across nodes: creates tokens for outgoing calls and checks received tokens."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from idtone import dialplan
from idtone.core.calls import RemoteCall, Skip
from idtone.core.log_throttle import LogThrottle
from idtone.core.numbers import Number, holds_number

from .call import Call
from .chain_token import TOKEN_LIMIT, VALID, ChainToken, TokenResult, can_bind, judge, mac_of, token_text
from .request import Request

log = logging.getLogger(__name__)

_WHY: Final = {
    TokenResult.MALFORMED: "it does not have the form of a token",
    TokenResult.FORGED: "it was not made with our fleet key, or not for this number; compare fleet.key_file on "
    "both nodes",
    TokenResult.EXPIRED: f"its time is more than {VALID.total_seconds():g} s off; compare the clocks of both nodes",
    TokenResult.REPEATED: "a call with this token has already been connected here",
}


@dataclass
class FleetChain:
    """Creates and checks chain tokens with the fleet's key. Use it in call control's event loop."""

    key: bytes = field(repr=False)
    node: str
    trunks: frozenset[str]
    """The PJSIP endpoints that lead to other nodes."""
    results: Counter[str] = field(default_factory=Counter, init=False)
    """Numbers of received tokens, by `TokenResult`."""
    _connected: dict[RemoteCall, datetime] = field(default_factory=dict, init=False)
    """Calls whose tokens no longer count, with the time at which they stopped counting."""
    _throttle: LogThrottle = field(init=False)

    def __post_init__(self) -> None:
        self._throttle = LogThrottle(log, "a chain token does not count, and the sound is played")

    def verdict_text(self, call: Call) -> str:
        """Chain field of a call's verdict.

        The field is a token's MAC if the call has a sound or is announced, and goes to another node. It is `CHAINED` if
        another node plays its sound. Otherwise, it is empty.
        """
        request = call.request
        if not call.decision.profiles and call.decision.skip is not Skip.ANNOUNCED:
            return ""
        otherwise = dialplan.CHAINED if call.chained_from and call.announces else ""
        if request is None or request.own_dial or request.asked_s is None or call.called is None:
            return otherwise
        if not can_bind(call.called) or not dialplan.endpoints(request.dial_string) & self.trunks:
            return otherwise
        ours, time_s = RemoteCall(self.node, call.id), int(request.asked_s)
        mac = mac_of(self.key, time_s, ours, call.called)
        return mac if len(token_text(time_s, ours, mac)) <= TOKEN_LIMIT else otherwise

    def chained_from(
        self, request: Request, numbers: tuple[Number, Number], now: datetime, find: Callable[[str], Call | None]
    ) -> RemoteCall | None:
        """Call on another node that plays this call's sound according to a valid token, or None.

        `numbers` are the forwarding number and the called number. `find` looks up a call in progress on this node.
        """
        if not request.chain_token:
            return None
        token = ChainToken.read(request.chain_token)
        result = judge(token, self.key, numbers, now) if token else TokenResult.MALFORMED
        if token and result is TokenResult.ACCEPTED and token.call in self._connected:
            result = TokenResult.REPEATED
        self.results[result] += 1
        if token is None or result is not TokenResult.ACCEPTED:
            self._throttle.warning(f"{_sender(token)}: {_WHY[result]}")
            return None
        if token.node != self.node:
            return token.call
        ours = find(token.call_id)  # the call has come back to the node that sent it
        return token.call if ours and ours.announces else None

    def connected(self, call: RemoteCall, now: datetime) -> None:
        """Invalidate the token of a call on another node after a call chained from it was connected and has ended."""
        while self._connected and now - next(iter(self._connected.values())) > 2 * VALID:
            del self._connected[next(iter(self._connected))]
        self._connected[call] = now


def _sender(token: ChainToken | None) -> str:
    """The sending node's name for the log. A name that could be a telephone number is hidden."""
    return f"from node {token.node}" if token and not holds_number(token.node) else "from an unknown node"

"""The AGI interface's one entry point, asked by the hook over FastAGI:

    decide  the caller's channel, or the called party's under the operator's own Dial(): the verdict

What becomes of the call Asterisk writes into the journal, so a call that was decided survives the death of the service.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.call_control.call_control import CallControl, Request
from idtone.errors import AgiError, LedgerError
from idtone.settings import Door

from .environment import AgiRequest

log = logging.getLogger(__name__)

KEPT_WITHIN_S: Final = 1.0
"""How long a verdict waits until the decision outlives this process: not at all, unless its file cannot be written."""


class AgiApplication:
    """Answers requests with the channel variables that are to be set."""

    def __init__(self, call_control: CallControl, secret: str) -> None:
        """`secret` comes with each request; the hook was exported with it. Over a Unix socket it is empty."""
        self._calls = call_control
        self._secret = secret.encode()

    async def answer(self, request: AgiRequest) -> Mapping[str, str]:
        """Raises AgiError for what the hook does not ask."""
        match request.entry, request.arguments:
            case (
                "decide",
                (
                    secret, "decide" | "own" as kind, call_id, nonce, _, number, direction, called, dial_string, caller,
                    chain, diverting,
                ),
            ):  # fmt: skip
                if not hmac.compare_digest(secret.encode(), self._secret):
                    raise AgiError("it lacks the secret of the exported hook; run `idtone dialplan export` again")
                return await self._decide(
                    Request(
                        call_id, nonce, unquote(number), unquote(direction), unquote(called), unquote(dial_string),
                        unquote(caller), chain, unquote(diverting), kind == "own",
                    )
                )  # fmt: skip
            case _:
                raise AgiError("the dialplan's hook is not this version's; run `idtone dialplan export` again")

    async def _decide(self, request: Request) -> dict[str, str]:
        """The verdict is enough for Asterisk to play and connect, even if we die the next moment: so the decision must
        outlive us before the verdict is given.
        """
        if self._calls.retiring:
            return {}
        try:
            call = self._calls.decide(request, Door.AGI)
        except LedgerError as error:
            raise AgiError(f"it cannot be decided: {error}; run `idtone dialplan export` again") from error
        if call is None:
            return {}
        if call.kept:
            await self._calls.wait_for(call.kept, KEPT_WITHIN_S)
        return {dialplan.VERDICT_VARIABLE: self._calls.verdict(call).text}

"""The AGI interface's one entry point, asked by the hook over FastAGI:

    decide  the caller's channel, or the called party's under the operator's own Dial(): the verdict

What becomes of the call Asterisk writes into the journal, so a call that was decided survives the death of the service.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping

from idtone import dialplan
from idtone.call_control.call_control import KEPT_WITHIN_S, CallControl, Request
from idtone.errors import AgiError, LedgerError
from idtone.settings import Door

from .environment import AgiRequest

log = logging.getLogger(__name__)


class AgiApplication:
    """Answers requests with the channel variables that are to be set."""

    def __init__(self, call_control: CallControl, secret: str) -> None:
        """`secret` comes with each request; the hook was exported with it. Over a Unix socket it is empty."""
        self._calls = call_control
        self._secret = secret.encode()

    async def answer(self, request: AgiRequest) -> Mapping[str, str]:
        """Raises AgiError for what the hook does not ask."""
        secret, *arguments = request.arguments or ("",)
        asked = Request.read(arguments) if request.entry == "decide" else None
        if asked is None:
            raise AgiError("the dialplan's hook is not this version's; run `idtone dialplan export` again")
        if not hmac.compare_digest(secret.encode(), self._secret):
            raise AgiError("it does not have the secret of the exported hook; run `idtone dialplan export` again")
        return await self._decide(asked)

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

"""The AGI application, with one entry point that the hook calls over FastAGI:

    decide  from the caller's channel, or the called party's under the operator's own Dial(): returns the verdict

Asterisk then writes the journal without the service, so a decided call survives a crash of the service.
"""

import hmac
import logging
from collections.abc import Mapping

from idtone import dialplan
from idtone.call_control.call_control import KEPT_WITHIN_S, CallControl
from idtone.call_control.request import Request
from idtone.core.errors import AgiError, LedgerError
from idtone.core.settings.settings import Interface

from .environment import AgiRequest

log = logging.getLogger(__name__)


class AgiApplication:
    """Answers a request with the channel variables that Asterisk must set."""

    def __init__(self, call_control: CallControl, secret: str) -> None:
        """Set the secret that the exported hook sends with each request; empty for a Unix socket."""
        self._calls = call_control
        self._secret = secret.encode()

    async def answer(self, request: AgiRequest) -> Mapping[str, str]:
        """Channel variables for one request. Raises AgiError for a request that the hook cannot have sent."""
        secret, *arguments = request.arguments or ("",)
        hook_request = Request.read(arguments) if request.entry == "decide" else None
        if hook_request is None:
            raise AgiError("the hook in the dialplan is of another version; run `idtone dialplan export` again")
        if not hmac.compare_digest(secret.encode(), self._secret):
            raise AgiError("it does not have the secret of the exported hook; run `idtone dialplan export` again")
        return await self._decide(hook_request)

    async def _decide(self, request: Request) -> dict[str, str]:
        """Return the verdict once the decision is stored, because Asterisk then acts without the service."""
        if self._calls.retiring:
            return {}
        try:
            call = await self._calls.decide_after_look_up(request, Interface.AGI)
        except LedgerError as error:
            raise AgiError(f"the request cannot be decided: {error}") from error
        if call is None:
            return {}
        if call.kept:
            await self._calls.wait_for(call.kept, KEPT_WITHIN_S)
        return {dialplan.VERDICT_VARIABLE: self._calls.verdict(call).text}
